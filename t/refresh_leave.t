use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(sleep);
use Test::Kiro;

# A client that leaves while it waits for a token disturbs nobody.

for my $mode (qw(close rst half)) {
    my $t = Test::Kiro->new(login => 'credentials_file', sim => ['--expired']);
    $t->start_sim;
    $t->sim(POST => 'auth', { plan => [ { hold => 'auth' } ] });
    $t->start_nginx;

    my $leaver = $t->openai_x('hello', abort => { after => 0.5, mode => $mode });
    my @stay   = map { $t->openai_x('hello') } 1 .. 5;
    $t->turn(2, $leaver);
    is($leaver->{error}, 'left', "$mode: the client left");
    Test::Kiro::wait_for(5, sub { $t->stats->{held}{auth} });
    is($t->stats->{refresh}, 1, "$mode: the refresh goes on");
    $_->connect for @stay;
    $t->sim(POST => 'release', { name => 'auth' });
    $t->run(20, @stay);
    is(scalar(grep { ($_->{status} // 0) == 200 } @stay), 5, "$mode: the others are served");
    is($t->stats->{refresh}, 1, "$mode: by that refresh");
    is($t->stats->{generate}, 5, "$mode: nothing was asked for the one who left");
    $t->stop;
}

done_testing;
