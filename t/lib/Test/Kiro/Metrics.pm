package Test::Kiro::Metrics;

# Prometheus' text format, read strictly.
#
#   my ($m, @faults) = Test::Kiro::Metrics::read($text);
#   $m->{kiro_requests_total}{'account="main",api="openai",...'}      labels in the order of their names
#   Test::Kiro::Metrics::total($m, 'kiro_requests_total', status => 200, model => qr/^claude/);

use strict;
use warnings;

# Labels as {name => value}, or undef.
sub labels {
    my ($text) = @_;
    my %of;
    while ($text =~ /\G(\w+)="((?:[^"\\\n]|\\["\\n])*)"(?:,|\z)/gc) {
        return if exists $of{$1};
        $of{$1} = $2 =~ s/\\(.)/$1 eq 'n' ? "\n" : $1/ger;
    }
    return (pos($text) // 0) == length $text ? \%of : undef;
}

# The one way to write them.
sub key {
    my (%of) = @_;
    return join ',', map { my $v = $of{$_} =~ s/(["\\])/\\$1/gr; qq($_="$v") } sort keys %of;
}

my %PART = (counter => qr//, gauge => qr//, histogram => qr/_(?:bucket|sum|count)/);

sub read {
    my ($text) = @_;
    my (%value, %type, %help, @faults, $family);
    push @faults, 'the last line has no end' if $text !~ /\n\z/;
    for my $line (split /\n/, $text) {
        if ($line =~ /^# HELP (\w+) (\S.*\.)$/) {
            push @faults, "$1 comes twice" if $help{$1}++;
            $family = $1;
            next;
        }
        if (my ($name, $type) = $line =~ /^# TYPE (\w+) (\w+)$/) {
            push @faults, "TYPE of $name is not behind its HELP" if $name ne ($family // '') || $type{$name};
            push @faults, "$name: type $type" if !$PART{$type};
            push @faults, "$name: only counters end in _total" if ($name =~ /_total$/ ? 1 : 0) != ($type eq 'counter' ? 1 : 0);
            $type{$name} = $type;
            next;
        }
        my ($name, $text, $value) = $line =~ /^(\w+)(?:\{(.*)\})? (-?\d+(?:\.\d+)?)$/ or do { push @faults, "a line: $line"; next };
        my $labels = labels($text // '') or do { push @faults, "labels: $line"; next };
        my $part = $PART{ $type{ $family // '' } // '' } // qr/(?!)/;
        push @faults, "not of the family before: $line" if $name !~ /^\Q$family\E$part$/;
        my $key = key(%$labels);
        push @faults, "twice: $line" if exists $value{$name}{$key};
        $value{$name}{$key} = $value;
    }
    $value{$_} //= {} for grep { $type{$_} ne 'histogram' } keys %type;
    push @faults, map { _histogram(\%value, $_) } grep { $type{$_} eq 'histogram' } sort keys %type;
    return (\%value, @faults);
}

# Buckets grow, and the last has all.
sub _histogram {
    my ($m, $name) = @_;
    my (%of, @faults);
    for my $key (keys %{ $m->{"${name}_bucket"} // {} }) {
        my %l = %{ labels($key) };
        my $le = delete $l{le};
        push @{ $of{ key(%l) } }, [ $le eq '+Inf' ? 9e99 : $le, $m->{"${name}_bucket"}{$key} ];
    }
    push @faults, "$name: sums and counts of other series" if join('|', sort keys %of) ne join('|', sort keys %{ $m->{"${name}_sum"} // {} })
        || join('|', sort keys %of) ne join('|', sort keys %{ $m->{"${name}_count"} // {} });
    for my $key (sort keys %of) {
        my @b = sort { $a->[0] <=> $b->[0] } @{ $of{$key} };
        push @faults, "$name\{$key}: a bucket is less than the one before" if grep { $b[$_][1] < $b[ $_ - 1 ][1] } 1 .. $#b;
        push @faults, "$name\{$key}: the last bucket has not all" if $b[-1][0] != 9e99 || $b[-1][1] != ($m->{"${name}_count"}{$key} // -1);
    }
    return @faults;
}

# The sum of those series whose labels match.
sub total {
    my ($m, $name, %like) = @_;
    my $sum = 0;
    for my $key (keys %{ $m->{$name} // {} }) {
        my $l = labels($key);
        my @not = grep { my $v = $l->{$_} // ''; ref $like{$_} ? $v !~ $like{$_} : $v ne $like{$_} } keys %like;
        $sum += $m->{$name}{$key} if !@not;
    }
    return $sum;
}

1;
