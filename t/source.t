use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

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

done_testing;
