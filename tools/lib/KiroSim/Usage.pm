package KiroSim::Usage;

# GetUsageLimits: what a request may have, and the limits of the account.

use v5.36;
use KiroSim::Json qw(is_bool is_string);

my %RULE = (
    origin          => sub ($v) { is_string($v) && $v =~ /\A(?:KIRO_CLI|AI_EDITOR)\z/ },
    resourceType    => sub ($v) { is_string($v) && $v =~ /\A(?:CREDIT|AGENTIC_REQUEST)\z/ },
    isEmailRequired => sub ($v) { is_bool($v) },
    profileArn      => sub ($v) { is_string($v) },
);
my %FIELD = map { $_ => 1 } qw(plan profile limits used limit reset title overage trial bonuses more);

# profile: optional, refused (with one: 400) or required (without: 400), as accounts differ in this
my %STATE;

sub restore () { %STATE = (profile => 'optional', limit => 2000) }
restore();

sub change ($body) {
    for my $field (sort keys %$body) { die "unknown usage field '$field'\n" if !$FIELD{$field} }
    die "profile must be optional, refused or required\n"
        if defined $body->{profile} && $body->{profile} !~ /\A(?:optional|refused|required)\z/;
    %STATE = (%STATE, map { $_ => $body->{$_} } grep { $_ ne 'plan' } keys %$body);
}

# What is wrong with the body, or undef.
sub refusal ($body, $key) {
    for my $member (sort keys %$body) {
        my $rule = $RULE{$member} or return "unknown member $member.";
        return "$member is invalid." if defined $body->{$member} && !$rule->($body->{$member});
    }
    return 'origin is required.' if !defined $body->{origin};
    return undef if $key;
    return 'profileArn is required for this request.' if $STATE{profile} eq 'required' && !defined $body->{profileArn};
    return 'Invalid profileArn.' if $STATE{profile} eq 'refused' && defined $body->{profileArn};
    return undef;
}

# spent: credits of the calls so far
sub reply ($body, $spent) {
    my $used = $STATE{used} // $spent;
    my $reset = $STATE{reset} // 86400 * (12 + int time / 86400);
    return {
        nextDateReset => $reset, daysUntilReset => 12, limits => [],
        subscriptionInfo => {
            subscriptionTitle => $STATE{title} // 'KIRO PRO+', type => 'Q_DEVELOPER_STANDALONE_PRO_PLUS', overageCapability => 'OVERAGE_CAPABLE',
        },
        overageConfiguration => { overageStatus => $STATE{overage} // 'DISABLED', overageLimit => undef },
        usageBreakdownList => [{
            resourceType => 'CREDIT', displayName => 'Credit', unit => 'INVOCATIONS',
            currentUsage => int $used, currentUsageWithPrecision => 0 + $used, usageLimit => $STATE{limit}, usageLimitWithPrecision => $STATE{limit},
            currentOverages => 0, overageCap => 10000, overageRate => 0.04, overageCharges => 0, currency => 'USD', nextDateReset => $reset,
            freeTrialInfo => $STATE{trial}, bonuses => $STATE{bonuses} // [],
        }, @{ $STATE{more} // [] }],
        userInfo => { userId => 'd-simulated.user', email => $body->{isEmailRequired} ? 'simulated@example.com' : undef },
    };
}

1;
