use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# A refused token is refreshed once for a request, not for ever.

my $t = Test::Kiro->new(login => 'credentials_file')->start;

my $r = $t->openai(scripted('403', 'ok'));
$t->openai_object($r, '403, then good');
is($t->stats->{refresh}, 1, 'one refresh');
my $log = $t->last_access(1);
is($log->{attempts}, 2, 'two attempts');
is($log->{why}, 'auth_expired', 'because of the login');
my @seen = $t->seen;
isnt($seen[0]{headers}{authorization}, $seen[1]{headers}{authorization}, 'the second one with another token');

$t->sim(POST => 'reset');
$r = $t->openai(scripted('403'));
$t->error_shape($r, 'openai', 502, '403 for ever');
is($t->stats->{generate}, 2, 'two attempts');
is($t->stats->{refresh}, 1, 'one refresh');
is($t->last_access(2)->{error}, 'auth_expired', '$kiro_error');

$t->sim(POST => 'reset');
$r = $t->anthropic(scripted('401', '500', 'ok'), stream => 1);
$t->anthropic_stream($r, '401, 500, then good');
is($t->stats->{generate}, 3, 'three attempts');
is($t->last_access(3)->{attempts}, 3, '$kiro_attempts');

# An API key cannot be refreshed.
my $k = Test::Kiro->new(login => 'api_key_file', allow => qr/refuses the API key/)->start;
$r = $k->openai(scripted('403'));
$k->error_shape($r, 'openai', 502, 'a refused API key');
is($k->stats->{refresh}, 0, 'no refresh for an API key');

$t->done;
