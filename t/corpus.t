use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro::Upstream;

# Whatever the corpus of client requests becomes, on every wire, passes the simulator's rules.

plan skip_all => 'kiro_normalise is not built: ./dev test builds it' if !Test::Kiro::Upstream::program();

my %count;
my $whole = Test::Kiro::Upstream::lines(sub {
    my ($line) = @_;
    my $verdict = Test::Kiro::Upstream::verdict($line->{body}, $line->{wire});
    is($verdict, undef, "$line->{name} on $line->{wire}");
    $count{ $line->{wire} }++;
}, 'corpus');

ok($whole, 'every request of the corpus was taken');
cmp_ok($count{$_}, '>=', 150, "$_: bodies") for qw(v3 v2 rest);

done_testing;
