use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro::Upstream;

# Random conversations of all block kinds in any order pass the simulator's rules, whatever the dialect.
# KIRO_PROPERTY_SEED and KIRO_PROPERTY_CASES choose others.

plan skip_all => 'kiro_normalise is not built: ./dev test builds it' if !Test::Kiro::Upstream::program();

my $seed = $ENV{KIRO_PROPERTY_SEED} // 1;
my $cases = $ENV{KIRO_PROPERTY_CASES} // 2000;
my ($taken, @broken, %refused) = (0);
my $whole = Test::Kiro::Upstream::lines(sub {
    my ($line) = @_;
    if (defined $line->{refused}) {
        push @{ $refused{ $line->{refused} =~ s/\d+/N/gr } }, $line->{name};
        return;
    }
    $taken++;
    my $verdict = Test::Kiro::Upstream::verdict($line->{body}, $line->{wire});
    push @broken, "seed $line->{name} on $line->{wire}: $verdict" if defined $verdict;
}, 'random', $seed, $cases);

note("seeds $seed to " . ($seed + $cases - 1) . ", $taken taken");
ok($whole, 'the program ended well');
is_deeply(\@broken, [], 'every body is accepted');
is_deeply([ grep { !/documents|images|at least one message/ } sort keys %refused ], [], 'nothing is refused but too much, or nothing');
cmp_ok($taken, '>', 0.9 * $cases, 'most requests are taken');

done_testing;
