use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;
use Test::Kiro::Net;

# What the log says about the credential source: which kind of login was found and
# why, what is wrong with it, and, once, what a later look at it has shown.

sub said { my ($t, $re) = @_; return scalar $t->grep_log($re) }

for my $case (
    [ api_key_file       => qr/\[notice\].*kiro_account "main": Kiro API key \(a ksk_ key\) in "/ ],
    [ refresh_token_file => qr/\[notice\].*kiro_account "main": Kiro Desktop login \(a bare refresh token\) in "/ ],
    [ credentials_file   => qr/\[notice\].*kiro_account "main": Kiro Desktop login \(authMethod social\) in "/ ],
    [ oidc               => qr/\[notice\].*kiro_account "main": AWS SSO login \(authMethod idc, client registration beside it\) in "/ ],
) {
    my ($login, $line) = @$case;
    my $t = Test::Kiro->new(login => $login)->start;
    is(said($t, $line), 1, "$login: the log says what was found and why");
    is(said($t, qr/\[warn\].*kiro_account/), 0, "$login: nothing is wrong with it");
    $t->reload;
    is(said($t, $line), 2, "$login: and again at a reload");
    $t->stop;
}

# A login whose registration is missing serves as long as its token does.
{
    my $t = Test::Kiro->new(login => 'oidc', account => 'refresh off; token_timeout 1s;', workers => 4);
    $t->start_sim;
    my $i    = $t->{simulator};
    my $file = json(Test::Kiro::slurp($i->{oidc}));
    my $registration = $i->{oidc} =~ s{[^/]+$}{$file->{clientIdHash}.json}r;
    my $kept = Test::Kiro::slurp($registration);
    unlink $registration or die "$registration: $!";
    $t->start_nginx;
    is(said($t, qr/\[warn\].*"main": ".*": its client registration, which a refresh needs, was not found: there is no .*\Q$file->{clientIdHash}\E\.json/),
        1, 'a registration that is missing is told');
    $t->openai_object($t->openai('hello without a registration'), 'without a registration');

    # Workers look at the source when a token is refused: what they see is said once.
    my $refused = sub {
        $t->sim(POST => 'tokens', { revoke_access => JSON::PP::true });
        $t->openai("hello with a refused token $_[0]", timeout => 10) for 1 .. 2;
    };
    Test::Kiro::spew($registration, $kept, 0600);
    my $found = qr/\[notice\].*AWS SSO login \(authMethod idc, client registration beside it\)/;
    Test::Kiro::spew($i->{oidc}, '{"accessToken":"SECRET', 0600);
    my $broken = qr/\[warn\].*this is not valid JSON.*the login that is known is kept/;
    $refused->('a');
    ok(Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { said($t, $broken) }), 'a source that became unreadable is told');
    $refused->('b');
    is(said($t, $broken), 1, 'once');
    my $new = json({ %$file, %{ $t->sim(POST => 'tokens', { issue => 'oidc' })->{credentials} }{qw(accessToken refreshToken expiresAt)} });
    Test::Kiro::spew($i->{oidc}, $new, 0600);
    ok(Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { said($t, $found) }), 'and what was found when it was good again');
    $t->openai_object($t->openai('hello with the new login'), 'the new login');
    is(said($t, $found), 1, 'once, too');
    is(said($t, $broken), 1, 'and the other is not repeated');
    $t->stop;
}

# The secrets of a login that came later are not for the host of the one before it.
{
    my $t = Test::Kiro->new(login => 'credentials_file', sim => ['--expired']);
    $t->start_sim;
    my $i  = $t->{simulator};
    my $px = Test::Kiro::Net->proxy($t)->set(mode => '502');
    my $file = $i->{credentials};
    my $put = sub { Test::Kiro::spew($file, json({ %{ $_[0] }, expiresAt => '2026-01-01T00:00:00Z' }), 0600) };
    $put->(json(Test::Kiro::slurp($file)));
    my $to = sub { my ($host) = @_; return scalar grep { /^\Q$host\E 443 / } $px->asked };
    my ($before, $after) = ('prod.us-east-1.auth.desktop.kiro.dev', 'oidc.eu-west-1.amazonaws.com');
    $t->{conf} = "kiro_account main { credentials_file $file; refresh_timeout 1s; token_timeout 300ms; models_interval off;"
        . " endpoint https://127.0.0.1:%%TLS_PORT%%; ssl_name localhost; proxy http://127.0.0.1:" . $px->port . '; }'
        . ' server { listen 127.0.0.1:%%PORT%%; location /v1/ { kiro_pass main; } }';
    $t->start_nginx;
    ok(Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { $to->($before) }), 'the host of the first login is asked');
    $put->({ %{ $t->sim(POST => 'tokens', { issue => 'oidc' })->{credentials} }{qw(accessToken refreshToken)},
        authMethod => 'IdC', region => 'eu-west-1', clientId => 'id', clientSecret => 'SECRETclient' });
    my $refused = qr/\[error\].*"main": token refresh failed: another login is there by now, which is refreshed at another host: reload nginx/;
    ok(Test::Kiro::wait_for(20 * Test::Kiro::patience(), sub { $t->openai('hello to the old host'); said($t, $refused) }),
        'a login of another host is not sent to it');
    my $asked = $to->($before);
    ok(Test::Kiro::wait_for(20 * Test::Kiro::patience(), sub { said($t, $refused) > 1 }), 'it is said again');
    is($to->($before), $asked, 'and nothing was sent');
    is($to->($after), 0, 'nor to a host that is not known yet');
    $t->reload;
    ok(Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { $to->($after) }), 'after a reload its own host is asked');
    $t->stop;
}

# Some identity providers know their token endpoint with a slash at its end only.
{
    my $t = Test::Kiro->new(login => 'credentials_file');
    $t->start_sim;
    my $host = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 8) or die "listen: $!";
    my $file = "$t->{dir}/files/idp.json";
    Test::Kiro::spew($file, json({ refreshToken => 'SECRETrefresh' . 'r' x 40, authMethod => 'external_idp', clientId => 'id',
        tokenEndpoint => 'https://idp.example.com/token', issuerUrl => 'https://idp.example.com/' }), 0600);
    $t->{conf} = "kiro_account main { credentials_file $file; models_interval off; endpoint https://127.0.0.1:%%TLS_PORT%%;"
        . ' ssl_name localhost; auth_endpoint http://127.0.0.1:' . $host->sockport . '/o/token/; }'
        . ' server { listen 127.0.0.1:%%PORT%%; location /v1/ { kiro_pass main; } }';
    $t->start_nginx;
    $host->timeout(10 * Test::Kiro::patience());
    my $c = $host->accept or die "no refresh: $!";
    is(scalar readline $c, "POST /o/token/ HTTP/1.1\r\n", 'the slash at the end of a token endpoint is kept');
    # A worker that is told to stop waits for the answer to a refresh.
    close $_ for $c, $host;
    $t->stop;
}

done_testing;
