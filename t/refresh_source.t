use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# While a refresh is on its way, and whatever the auth host does to it, another
# program rotates the same login and writes its source: that token is found.

my $true  = JSON::PP::true;
my $codec = JSON::PP->new->utf8->canonical;

# What kiro-cli does with its own file.
sub rotate {
    my ($t, $file) = @_;
    my $record = $codec->decode(Test::Kiro::slurp($file));
    my $x = Test::Kiro::HTTP->new(
        port => $t->{simulator}{port}, method => 'POST', path => '/refreshToken',
        headers => [ 'Content-Type' => 'application/json' ],
        send    => $codec->encode({ refreshToken => $record->{refreshToken} }),
    );
    Test::Kiro::HTTP->run(10 * Test::Kiro::patience(), $x);
    my $new = $codec->decode($x->{body});
    $t->secret(@$new{qw(accessToken refreshToken)});
    return sub {
        my $text = $codec->encode({ %$record, %$new{qw(accessToken refreshToken)}, expiresAt => '2099-01-01T00:00:00Z' });
        Test::Kiro::spew("$file.new", $text, 0600);
        rename "$file.new", $file or die "$file: $!";
    };
}

for my $fault (
    [ '500'           => { status => 500 } ],
    [ '429'           => { status => 429 } ],
    [ 'cut'           => { drop => $true } ],
    [ 'reset'         => { rst => $true } ],
    [ 'HTML'          => { html => $true, status => 502 } ],
    [ 'HTML, 200'     => { html => $true, status => 200 } ],
    [ 'invalid_grant' => {} ],
    [ 'invalid_grant, written late' => {}, late => 1 ],
    [ 'nothing'       => { hang => $true } ],
    )
{
    my ($name, $plan, %o) = @$fault;
    my $t = Test::Kiro->new(login => 'credentials_file', sim => ['--expired'], account => 'token_timeout 60s; refresh_timeout 3s;');
    $t->start_sim;
    my $file = $t->{simulator}{credentials};
    $t->sim(POST => 'auth', { plan => [ { %$plan, $plan->{hang} ? () : (hold => 'ours') } ] });
    $t->start_nginx;
    my @x = map { $t->openai_x("plover $_ $name") } 1 .. 4;
    $t->turn(0.2, @x);
    ok(Test::Kiro::wait_for(10, sub { $t->stats->{refresh} == 1 }), "$name: our refresh is on its way");
    my $write = rotate($t, $file);
    $write->() unless $o{late};
    $t->sim(POST => 'release');
    if ($o{late}) {
        ok(Test::Kiro::wait_for(10, sub { $t->stats->{invalid_grant} }), "$name: ours is refused");
        $write->();
    }
    $t->run(60, @x);
    is(join(' ', map { $_->{status} // $_->{error} } @x), '200 200 200 200', "$name: all are served");
    is($t->stats->{refresh_ok}, 1, "$name: with what the other program has got");
    is(scalar($t->grep_log(qr/a newer token was found/)), 1, "$name: found in the source");

    # And the next refresh goes on from there.
    $t->sim(POST => 'tokens', { revoke_access => $true });
    $t->openai_object($t->openai("after $name"), "$name: after the next refresh");
    is($t->stats->{invalid_grant}, $name =~ /^invalid_grant/ ? 1 : 0, "$name: no token was lost");
    $t->stop;
}

done_testing;
