use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256_hex);
use Test::More;
use Test::Kiro;
use Test::Kiro::Provider;

# The configurations of conf/examples, with the places of this machine in them, serve requests.

my $root = Test::Kiro::root();

# What an example names => what is there instead.
my @places = (
    [ qr{\bruntime\.us-east-1\.kiro\.dev:443 max_fails=0} => '%%SERVER%%' ],
    [ qr{\b127\.0\.0\.1:8000\b}                           => '127.0.0.1:%%PORT%%' ],
    [ qr{/etc/nginx/kiro/api-key;}                        => '%%API_KEY_FILE%%;' ],
    [ qr{/etc/nginx/kiro/other-key\.conf\b}              => '%%FILES%%/other-key.conf' ],
    [ qr{\b127\.0\.0\.1:8080\b}                           => '%%OTHER%%' ],
    [ qr{/etc/nginx/kiro/kiro-auth-token\.json\b}         => '%%CREDENTIALS%%' ],
    [ qr{/etc/nginx/kiro/keys\b}                          => '%%FILES%%/keys' ],
    [ qr{/etc/nginx/kiro/callers\.map\b}                   => '%%FILES%%/callers.map' ],
    [ qr{/var/lib/nginx/kiro\b}                           => '%%STATE%%' ],
    [ qr{/var/log/nginx/}                                 => '%%DIR%%/logs/' ],
    [ qr{\blog_format kiro\b}                             => 'log_format bill' ], # the harness has a "kiro"
    [ qr{\bkiro\.log kiro;}                              => 'kiro.log bill;' ],
    [ qr{\bkiro_account \w+ \{\K}                        =>
        ' ssl_trusted_certificate %%CA%%; ssl_name localhost; auth_endpoint %%ENDPOINT%%; management_endpoint %%ENDPOINT%%;' ],
);

sub example {
    my ($name, %o) = @_;
    my $text = Test::Kiro::slurp("$root/conf/examples/$name.conf");
    my ($http) = $text =~ /^http \{\n(.*)^\}/ms or return fail("$name: an http block");
    for (@places) {
        my ($from, $to) = @$_;
        $http =~ s/$from/$to/g;
    }
    my @left = grep { !/^\s*#/ && m{\s/(?:etc|var|usr)/} } split /\n/, $http;
    is("@left", '', "$name: every place is known here");
    my $t = Test::Kiro->new(conf => $http, %o);
    my $other = $t->{other} = Test::Kiro::Provider->new($t);
    $t->{vars} = { OTHER => '127.0.0.1:' . $other->port };
    Test::Kiro::spew("$t->{dir}/files/other-key.conf", "proxy_set_header Authorization \"Bearer other-SECRET\";\n", 0600);
    Test::Kiro::spew("$t->{dir}/files/keys", join '', map { "$_:" . sha256_hex("sk-$_") . "\n" } qw(alice bob));
    $t->start_sim;
    Test::Kiro::spew("$t->{dir}/files/callers.map", "alice $t->{simulator}{api_key};\n", 0600);
    $t->start_nginx;
    return $t;
}

sub bearer { return (headers => [ Authorization => "Bearer $_[0]" ]) }

# --- minimal ---------------------------------------------------------------

my $t = example('minimal', login => 'api_key_file');
$t->openai_object($t->openai('hello', bearer('change-me')), 'minimal');
is($t->openai('hello', bearer('other'))->{status}, 401, 'minimal: another key');
is($t->get('/health')->{status}, 200, 'minimal: health');
$t->stop;

# --- login, and its bill ---------------------------------------------------

$t = example('login', login => 'credentials_file');
my %want;
for my $who (qw(alice bob alice)) {
    my $credits = $want{$who} ? 0.125 : 2.5;
    my $r = $t->openai(scripted({ words => 4, credits => $credits }), bearer("sk-$who"));
    my $usage = $t->openai_object($r, "login: $who")->{usage};
    $want{$who}{requests}++;
    $want{$who}{in}  += $usage->{prompt_tokens};
    $want{$who}{out} += $usage->{completion_tokens};
    $want{$who}{credits} += $credits;
}
is($t->openai('hello', bearer('sk-eve'))->{status}, 401, 'login: a key that is in no file');
$want{alice}{requests}++;
$t->error_shape($t->openai(scripted('500', '500', '500', '500', '500'), bearer('sk-alice')), 'openai', 502, 'login: a request that fails');
is($t->get('/health')->{status}, 200, 'login: health');

my ($line) = Test::Kiro::slurp("$root/docs/operations.md") =~ m{^## Billing\n.*?```sh\n(.*?)```}ms;
ok(length($line // ''), 'there is a line for the bill');
ok(Test::Kiro::wait_for(5, sub { 5 == (() = Test::Kiro::slurp("$t->{dir}/logs/kiro.log") =~ /\n/g) }), 'the log is written');
$line =~ s{/var/log/nginx/}{$t->{dir}/logs/};
my $bill = eval { json(scalar qx{$line}) };
is_deeply({ map { ($_ => $bill->{$_}) } qw(alice bob) }, \%want, 'the bill') or diag $line, explain $bill;
$t->stop;

# --- a fallback ------------------------------------------------------------

$t = example('fallback', allow => qr{kiro_account "\w+": its quota});
$t->openai_object($t->openai(scripted('500', 'ok'), bearer('sk-alice')), 'fallback: a retry comes first');
my $last = $t->openai(scripted('quota'), bearer('sk-bob'));
is(json($last->{body})->{from}, 'elsewhere', 'fallback: the other provider') or diag($last->{body});
my ($asked) = $t->{other}->requests;
is($asked->{headers}{authorization}, 'Bearer other-SECRET', 'fallback: with its own key');
is($asked->{headers}{'x-api-key'}, undef, '... and no other');
$t->openai(scripted('quota'), headers => [ 'x-api-key' => 'sk-alice' ]);
is(scalar(grep { json($_->{headers}) =~ /sk-/ } $t->{other}->requests), 0, '... whichever header it came in');
like(Test::Kiro::slurp("$t->{dir}/logs/kiro.log"), qr/ alice 200 fallback=- .*\n.* bob 200 fallback=quota /, 'fallback: the log');
$t->stop;

# --- callers' own keys -----------------------------------------------------

$t = example('passthrough');
my $key = $t->{simulator}{api_key};
$t->openai_object($t->openai('hello', bearer($key)), 'passthrough: an own key');
is($t->openai('hello', bearer('ksk_SECRETunknown'))->{status}, 401, 'passthrough: a key that the service does not know');
is($t->openai('hello', bearer('sk-alice'))->{status}, 401, 'passthrough: no Kiro key');
my @team = (path => '/team/v1/chat/completions');
$t->openai_object($t->openai('hello', @team, bearer('sk-alice')), 'passthrough: the key that is set up for a client');
is($t->openai('hello', @team, bearer('sk-bob'))->{status}, 401, 'passthrough: a client without one');
is($t->openai('hello', @team, bearer($key))->{status}, 401, 'passthrough: a Kiro key is none of this gateway');
my $log = Test::Kiro::slurp("$t->{dir}/logs/kiro.log");
like($log, qr/ key:[0-9a-f]{16} 200 /, 'passthrough: the log has the fingerprint');
is(index($log, $key), -1, '... and not the key');
$t->stop;

done_testing;
