use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# "write_back on": the program that shares a login finds the rotated token where it
# left the old one, and whoever was faster wins.

my %file = (credentials_file => 'credentials', oidc => 'oidc', refresh_token_file => 'refresh_token_file');
my $chars = JSON::PP->new->utf8->canonical;

sub secrets_of {
    my ($t, $text) = @_;
    $t->secret($1) while $text =~ /"(?:access_?token|refresh_?token|client_?secret)"\s*:\s*"([^"]{8,})"/gi;
    return $text;
}

# One more member and a layout of its own: both must stay.
sub marked {
    my ($text) = @_;
    $text =~ s/\A\s*\{/{ "theirs" : [1.50, "\\u00e4"],\n/;
    return $text;
}

for my $login (qw(credentials_file oidc refresh_token_file)) {
    for my $state (1, 0) {
        my $name = "$login, " . ($state ? 'with state_path' : 'without');
        my $t = Test::Kiro->new(login => $login, sim => ['--expired'], account => 'write_back on;', no_state => !$state);
        $t->start_sim;
        my $source = $t->{simulator}{ $file{$login} };
        my $json = $login ne 'refresh_token_file';
        my $before = Test::Kiro::slurp($source);
        $before = marked($before) if $json;
        Test::Kiro::spew($source, $before);
        chmod 0640, $source;
        $t->start_nginx;

        $t->openai_object($t->openai("the tide comes in, $name"), $name);
        is($t->stats->{refresh}, 1, "$name: one refresh");
        my $after = secrets_of($t, Test::Kiro::slurp($source));
        isnt($after, $before, "$name: the source is another one at once");
        is(sprintf('%04o', (stat $source)[2] & 07777), '0640', "$name: of the same mode");
        if ($json) {
            my ($old, $new) = map { $chars->decode($_) } $before, $after;
            is(($t->seen)[-1]{headers}{authorization}, "Bearer $new->{accessToken}", "$name: with the token that is used");
            isnt($new->{refreshToken}, $old->{refreshToken}, "$name: and the rotated one");
            isnt($new->{expiresAt}, $old->{expiresAt}, "$name: and its expiry");
            my ($left, $right) = map { s/("(?:accessToken|refreshToken|expiresAt)"\s*:\s*)"[^"]*"/$1/gr } $before, $after;
            is($right, $left, "$name: nothing else has changed");
        }
        else {
            like($after, qr/\A\S{100,}\n\z/, "$name: a bare token");
        }
        is_deeply([ grep { /\.[0-9a-f]{16}$/ } glob "$t->{dir}/sim/.*" ], [], "$name: no temporary file");

        # Somebody else goes on with it, as kiro-cli would: then nginx knows.
        $t->restart;
        $t->sim(POST => 'tokens', { expire => JSON::PP::true });
        $t->openai_object($t->openai("the tide goes out, $name"), "$name, after a restart");
        # A bare token without a state is refreshed at the start, too.
        like($t->stats->{refresh}, $json || $state ? qr/^2$/ : qr/^[23]$/, "$name: the second refresh");
        is($t->stats->{invalid_grant}, 0, "$name: with the token from the source");
        secrets_of($t, Test::Kiro::slurp($source));
        $t->stop;
    }
}

# While nginx waits for the auth host, the owner logs in again: that login wins.
{
    my $t = Test::Kiro->new(login => 'credentials_file', sim => ['--expired'], account => 'write_back on;');
    $t->start_sim;
    my $source = $t->{simulator}{credentials};
    $t->sim(POST => 'auth', { plan => [ { hold => 'auth' } ] });
    $t->start_nginx;
    my $x = $t->openai_x('gulls over the pier');
    $t->turn(0.5, $x);
    Test::Kiro::wait_for(5, sub { $t->stats->{refresh} >= 1 });
    my $new = $t->sim(POST => 'tokens', { issue => 'social' })->{credentials};
    my $theirs = secrets_of($t, json($new));
    Test::Kiro::spew("$source.new", $theirs, 0600);
    rename "$source.new", $source or die $!;
    $t->sim(POST => 'release', { name => 'auth' });
    $t->run($x);
    $t->openai_object($x, 'another login came during the refresh');
    is(($t->seen)[-1]{headers}{authorization}, "Bearer $new->{accessToken}", 'it is the one that is used');
    is(Test::Kiro::slurp($source), $theirs, 'and it was not overwritten');
    is(scalar($t->grep_log(qr/holds another login by now, that one is used now/)), 1, 'the log says so');
    $t->restart;
    $t->openai_object($t->openai('gulls over the sea'), 'after a restart');
    is(($t->seen)[-1]{headers}{authorization}, "Bearer $new->{accessToken}", 'still');
    $t->stop;
}

# It cannot be written: requests are served, the log says what to do.
{
    my $t = Test::Kiro->new(login => 'credentials_file', sim => ['--expired'], account => 'write_back on;',
        allow => qr/"write_back" failed: .* read-only/);
    $t->start_sim;
    my $source = $t->{simulator}{credentials};
    my $before = Test::Kiro::slurp($source);
    chmod 0400, $source;
    $t->start_nginx;
    $t->openai_object($t->openai('a locked harbour'), 'a source that is read-only');
    is(Test::Kiro::slurp($source), $before, 'it is as it was');
    is(scalar($t->grep_log(qr/\[crit\].*"write_back" failed: .*marked read-only/)), 1, 'the log says why');

    # Later it is made up for, without another refresh.
    chmod 0600, $source;
    ok(Test::Kiro::wait_for(20 * Test::Kiro::patience(), sub { Test::Kiro::slurp($source) ne $before }),
        'writable again: it is written');
    my $after = $chars->decode(secrets_of($t, Test::Kiro::slurp($source)));
    is(($t->seen)[-1]{headers}{authorization}, "Bearer $after->{accessToken}", 'with the token in use');
    is($t->stats->{refresh}, 1, 'from the one refresh');
    is(scalar($t->grep_log(qr/"write_back" failed/)), 1, 'which was told once');
    $t->stop;
}

# "refresh off" only reads.
{
    my $t = Test::Kiro->new(login => 'credentials_file', sim => ['--expired'],
        account => 'refresh off; token_timeout 20s;');
    $t->start_sim;
    my $source = $t->{simulator}{credentials};
    $t->start_nginx;
    my $x = $t->openai_x('ships that pass');
    $t->turn(1, $x);
    my $new = $t->sim(POST => 'tokens', { issue => 'social' })->{credentials};
    Test::Kiro::spew("$source.new", my $theirs = secrets_of($t, json($new)), 0600);
    rename "$source.new", $source or die $!;
    $t->run($x);
    $t->openai_object($x, 'refresh off: the login that its owner renewed');
    is($t->stats->{refresh}, 0, 'refresh off: nothing is refreshed');
    is(Test::Kiro::slurp($source), $theirs, 'refresh off: nothing is written');
    $t->stop;
}

# What cannot work is no configuration, and the hazard is named.
{
    my $t = Test::Kiro->new(login => 'api_key_file', account => 'write_back on;', allow => qr/nothing can be written/);
    $t->start_sim;
    my ($status, $out) = $t->test_config;
    isnt($status, 0, 'an API key with write_back');
    like($out, qr/an API key is never refreshed/, 'says why');

    $t->{login} = 'credentials_file';
    $t->{account} = 'write_back on; refresh off;';
    ($status, $out) = $t->test_config;
    isnt($status, 0, 'refresh off with write_back');
    like($out, qr/"refresh" is off/, 'says why');

    my $cache = "$t->{dir}/home/.aws/sso/cache";
    File::Path::make_path($cache);
    $t->{source_file} = "$cache/kiro-auth-token.json";
    Test::Kiro::spew($t->{source_file}, Test::Kiro::slurp($t->{simulator}{credentials}), 0600);
    my $hazard = qr/\[notice\].*kiro-auth-token\.json looks like the login of kiro-cli.*docs\/operations\.md/;
    for my $case ([ '', 1 ], [ 'write_back on;', 0 ], [ 'refresh off;', 0 ]) {
        $t->{account} = $case->[0];
        my $before = $t->grep_log($hazard);
        ($status, $out) = $t->test_config;
        is($status, 0, "a shared login, $case->[0]") or diag $out;
        is($t->grep_log($hazard) - $before, $case->[1], 'the hazard is named where there is one');
    }
    $t->stop;
}

done_testing;
