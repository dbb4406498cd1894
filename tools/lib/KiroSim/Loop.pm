package KiroSim::Loop;

# The event loop: sockets by select(), timers in millisecond buckets. Objects that own a socket have the methods
# on_readable, on_writable and failed; the loop knows nothing about what they carry.

use v5.36;
use Errno qw(EINTR);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

sub new ($class) {
    return bless { read => '', write => '', owner => [], bucket => {}, heap => [], ready => [], stop => 0 }, $class;
}

sub now_ms { 1000 * clock_gettime(CLOCK_MONOTONIC) }

sub add ($self, $fd, $owner) {
    $self->{owner}[$fd] = $owner;
    vec($self->{read}, $fd, 1) = 1;
    vec($self->{write}, $fd, 1) = 0;
}

sub remove ($self, $fd) {
    $self->{owner}[$fd] = undef;
    vec($self->{read}, $fd, 1) = 0;
    vec($self->{write}, $fd, 1) = 0;
}

sub want_write ($self, $fd, $on) { vec($self->{write}, $fd, 1) = $on }
sub want_read  ($self, $fd, $on) { vec($self->{read}, $fd, 1) = $on }

# Runs a callback with the next turn of the loop.
sub soon ($self, $callback) { push @{ $self->{ready} }, $callback }

# Runs a callback at a time of now_ms. A timer that is no longer wanted finds that out itself.
sub at ($self, $time, $callback) {
    my $tick = int($time + 0.999);
    my $bucket = $self->{bucket}{$tick};
    if (!$bucket) {
        $bucket = $self->{bucket}{$tick} = [];
        _push($self->{heap}, $tick);
    }
    push @$bucket, $callback;
}

sub _push ($heap, $tick) {
    my $i = @$heap;
    while ($i > 0) {
        my $up = ($i - 1) >> 1;
        last if $heap->[$up] <= $tick;
        $heap->[$i] = $heap->[$up];
        $i = $up;
    }
    $heap->[$i] = $tick;
}

sub _pop ($heap) {
    my $top = $heap->[0];
    my $last = pop @$heap;
    my $n = @$heap;
    return $top if !$n;
    my $i = 0;
    while ((my $child = 2 * $i + 1) < $n) {
        $child++ if $child + 1 < $n && $heap->[ $child + 1 ] < $heap->[$child];
        last if $last <= $heap->[$child];
        $heap->[$i] = $heap->[$child];
        $i = $child;
    }
    $heap->[$i] = $last;
    return $top;
}

sub stop ($self) { $self->{stop} = 1 }

# A mistake in one callback must not end the others.
sub run ($self) {
    my $heap = $self->{heap};
    while (!$self->{stop}) {
        my $now = now_ms();
        while (@$heap && $heap->[0] <= $now) {
            for my $callback (@{ delete $self->{bucket}{ _pop($heap) } }) { eval { $callback->(); 1 } or warn "kiro-sim: $@" }
        }
        if (my @ready = splice @{ $self->{ready} }) { for my $callback (@ready) { eval { $callback->(); 1 } or warn "kiro-sim: $@" } }
        my $wait = @{ $self->{ready} } ? 0 : @$heap ? ($heap->[0] - now_ms()) / 1000 : 1;
        $wait = 0 if $wait < 0;
        $wait = 1 if $wait > 1;    # a signal may have come just before select
        my $count = select my $readable = $self->{read}, my $writable = $self->{write}, undef, $wait;
        if ($count < 0) {
            die "select: $!\n" if $! != EINTR;
            next;
        }
        next if !$count;
        $self->_serve($writable, 'on_writable');
        $self->_serve($readable, 'on_readable');
    }
}

sub _serve ($self, $bits, $method) {
    while ($bits =~ /[^\0]/g) {
        my $byte = pos($bits) - 1;
        my $set = ord substr $bits, $byte, 1;
        for my $bit (0 .. 7) {
            next if !($set & 1 << $bit);
            my $owner = $self->{owner}[ 8 * $byte + $bit ] or next;
            eval { $owner->$method; 1 } or $owner->failed($@);
        }
    }
}

1;
