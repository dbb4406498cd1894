package Test::Kiro::Upstream;

# Bodies as bin kiro_normalise prints them, judged by the simulator's validator.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../tools/lib";
use KiroSim::Json qw(decode_json);
use KiroSim::Tokens ();
use KiroSim::Validate ();

# Of the sanitized build that ./dev test makes, or where KIRO_NORMALISE says.
sub program {
    my ($found) = grep { defined && -x } $ENV{KIRO_NORMALISE}, map { "$FindBin::Bin/../build/$_/kiro_normalise" } qw(asan fast);
    return $found;
}

# Signatures are the business of the tests that run the whole simulator.
{ package Test::Kiro::Upstream::AnySignature; sub signature_ok { 1 } }
my $tokens = bless {}, 'Test::Kiro::Upstream::AnySignature';
my %login = (kind => 'social', profiles => [{ arn => 'arn:aws:codewhisperer:us-east-1:000000000000:profile/EXAMPLE' }]);

# undef, or what the service would say.
sub verdict {
    my ($text, $wire) = @_;
    my ($body, $failure) = KiroSim::Validate::parse($text);
    $failure //= KiroSim::Validate::check({
        body => $body, text => $text, wire => $wire, login => \%login, tokens => $tokens, region => 'us-east-1',
    });
    return $failure && "$failure->{rule}: " . ($failure->{detail} // $failure->{message});
}

# Calls $each with every line that the program prints.
sub lines {
    my ($each, @arguments) = @_;
    open my $out, '-|', program(), @arguments or die "kiro_normalise: $!";
    while (my $line = <$out>) { $each->(decode_json($line)) }
    return close $out;
}

1;
