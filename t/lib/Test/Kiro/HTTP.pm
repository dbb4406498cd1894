package Test::Kiro::HTTP;

# A raw HTTP/1.1 client: many exchanges in one select loop, the arrival time of
# every piece, and ways to be a bad client (slow, deaf, leaving early).
#
#   my $x = Test::Kiro::HTTP->new(port => 8000, method => 'POST', path => '/v1/messages',
#                                 headers => [...], body => '...');
#   Test::Kiro::HTTP->run(30, $x, ...);
#   $x->{status}; $x->{headers}{'content-type'}; $x->{body}; $x->{pieces}; $x->{error}
#
# Options beside the request:
#   raw            bytes to send instead of a built request
#   abort          { bytes => N body bytes | after => seconds | headers => 1, mode => close|rst|half }
#   pause          { bytes => N body bytes, for => seconds }   reads nothing meanwhile
#   rate           bytes a second that are read
#   rcvbuf         size of the socket's receive buffer
#   discard        count the body, do not keep it
#   keep           leave the connection open at the end, see again()
#   on_body        called with (exchange, piece) for every piece of the decoded body

use strict;
use warnings;

use Errno qw(EAGAIN EWOULDBLOCK EINTR ECONNRESET EPIPE);
use IO::Socket::INET;
use Socket    qw(SOL_SOCKET SO_LINGER SO_RCVBUF IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

sub new {
    my ($class, %o) = @_;
    my $self = bless {
        host    => '127.0.0.1',
        method  => 'GET',
        path    => '/',
        headers => [],
        %o,
        in      => '',
        body    => '',
        length  => 0,
        pieces  => [],
        error   => undef,
        done    => 0,
        whole   => 0,
    }, $class;
    $self->{out} = defined $o{raw} ? $o{raw} : $self->_build;
    return $self;
}

sub _build {
    my ($self) = @_;
    my @h    = @{ $self->{headers} };
    my %have = map { lc $h[ $_ * 2 ] => 1 } 0 .. int(@h / 2) - 1;
    my $out  = "$self->{method} $self->{path} HTTP/1.1\r\n";
    $out .= "Host: localhost\r\n" unless $have{host};
    while (my ($name, $value) = splice @h, 0, 2) {
        $out .= "$name: $value\r\n" if defined $value;
    }
    my $body = $self->{send} // '';
    if (length $body || $self->{method} =~ /^(?:POST|PUT|PATCH)$/) {
        $out .= 'Content-Length: ' . length($body) . "\r\n"
            unless $have{'content-length'} || $have{'transfer-encoding'};
    }
    $out .= "Connection: close\r\n" unless $have{connection};
    return "$out\r\n$body";
}

sub connect {
    my ($self) = @_;
    my $s = IO::Socket::INET->new(Proto => 'tcp') or die "socket: $!";
    setsockopt $s, SOL_SOCKET, SO_RCVBUF, pack('i', $self->{rcvbuf}) if $self->{rcvbuf};
    $self->{started} = time;
    unless ($s->connect($self->{port}, Socket::inet_aton($self->{host}))) {
        $self->_fail("connect: $!");
        return;
    }
    setsockopt $s, IPPROTO_TCP, TCP_NODELAY, 1;
    $s->blocking(0);
    $self->{socket} = $s;
    return $self;
}

# Drives the exchanges until all have ended; those that have not in time failed.
sub run {
    my ($class, $timeout, @x) = @_;
    $class->turn($timeout, @x);
    $_->_fail('timeout') for @x;
    return @x;
}

# The same for a while only: they can go on later.
sub turn {
    my ($class, $seconds, @x) = @_;
    my $deadline = time + $seconds;
    for my $x (@x) {
        $x->connect unless $x->{socket} || $x->{done};
    }
    while (my @open = grep { !$_->{done} } @x) {
        my $now = time;
        last if $now >= $deadline;
        my ($wait, $r, $w) = (0.05, '', '');
        for my $x (@open) {
            my $fd = fileno $x->{socket};
            if (my $at = $x->{abort} && $x->{abort}{after}) {
                if ($now - $x->{started} >= $at) { $x->leave; next }
            }
            vec($w, $fd, 1) = 1 if length $x->{out};
            vec($r, $fd, 1) = 1 if $now >= ($x->{deaf_until} // 0);
        }
        my $n = select $r, $w, undef, $wait;
        next if !defined $n || $n <= 0;
        for my $x (@open) {
            next if $x->{done};
            my $fd = fileno $x->{socket};
            $x->_write if vec $w, $fd, 1;
            $x->_read  if !$x->{done} && vec $r, $fd, 1;
        }
    }
    return @x;
}

sub _write {
    my ($self) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $n = syswrite $self->{socket}, $self->{out}, 65536;
    if (defined $n) {
        substr $self->{out}, 0, $n, '';
        return;
    }
    return if $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR;
    # a server may answer and close before it has read everything
    $self->{write_error} = "$!";
    $self->{out}         = '';
}

sub _read {
    my ($self) = @_;
    my $size = $self->{rate} ? int($self->{rate} / 20) || 1 : 262144;
    my $n    = sysread($self->{socket}, my $data, $size);
    if (!defined $n) {
        return if $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR;
        return $self->_fail($! == ECONNRESET ? 'reset' : "read: $!");
    }
    my $now = time;
    $self->{deaf_until} = $now + 0.05 if $self->{rate};
    return $self->_eof                if $n == 0;
    $self->{in} .= $data;
    $self->{received} += $n;
    $self->_parse($now);
}

sub _parse {
    my ($self, $now) = @_;
    while (!defined $self->{status} || $self->{status} < 200) {
        $self->{in} =~ s/\A(HTTP\/1\.[01] (\d{3})[^\r\n]*\r\n(?:[^\r\n]+\r\n)*)\r\n//
            or return;
        my $head = $1;
        $self->{status} = $2;
        next if $self->{status} < 200;
        $self->{head}       = $head;
        $self->{headers_at} = $now - $self->{started};
        my %h;
        while ($head =~ /^([^\s:]+):[ \t]*(.*?)[ \t]*\r$/mg) {
            my $name = lc $1;
            $h{$name} = exists $h{$name} ? "$h{$name}, $2" : $2;
        }
        $self->{response} = \%h;
        $self->{mode} =
              $self->{method} eq 'HEAD' || $self->{status} =~ /^(?:204|304)$/ ? 'none'
            : ($h{'transfer-encoding'} // '') =~ /chunked/i                  ? 'chunked'
            : defined $h{'content-length'}                                   ? 'length'
            :                                                                  'close';
        $self->{left} = $h{'content-length'} if $self->{mode} eq 'length';
        return $self->leave if $self->{abort} && $self->{abort}{headers};
    }
    $self->_body($now);
}

sub headers { return $_[0]{response} // {} }
sub header  { return $_[0]->headers->{ lc $_[1] } }

sub _body {
    my ($self, $now) = @_;
    my $mode = $self->{mode};
    return $self->_end if $mode eq 'none';
    if ($mode eq 'close') {
        $self->_piece($now, $self->{in});
        $self->{in} = '';
        return;
    }
    if ($mode eq 'length') {
        my $piece = substr $self->{in}, 0, $self->{left}, '';
        $self->{left} -= length $piece;
        $self->_piece($now, $piece) if length $piece;
        return $self->_end if !$self->{done} && $self->{left} == 0;
        return;
    }
    while (!$self->{done}) {
        if (defined $self->{chunk}) {
            if ($self->{chunk} > 0) {
                length $self->{in} or return;
                my $piece = substr $self->{in}, 0, $self->{chunk}, '';
                $self->{chunk} -= length $piece;
                $self->_piece($now, $piece);
                next if $self->{chunk} > 0;
                next;
            }
            $self->{in} =~ s/\A\r\n// or return $self->_need(2, 'chunk end');
            undef $self->{chunk};
        }
        $self->{in} =~ s/\A([0-9A-Fa-f]+)(?:;[^\r\n]*)?\r\n//
            or return $self->_need(20, 'chunk size');
        if (hex $1) { $self->{chunk} = hex $1; next }
        # last chunk, no trailers expected
        $self->{last_chunk} = 1;
        $self->{in} =~ s/\A\r\n// or do { $self->{mode} = 'trailer'; return };
        return $self->_end;
    }
}

sub _need {
    my ($self, $limit, $what) = @_;
    $self->_fail("bad $what") if length $self->{in} >= $limit;
}

sub _piece {
    my ($self, $now, $piece) = @_;
    $self->{first_at} //= $now - $self->{started};
    $self->{length} += length $piece;
    unless ($self->{discard}) {
        $self->{body} .= $piece;
        push @{ $self->{pieces} }, [ $now - $self->{started}, $self->{length} ];
    }
    $self->{on_body}->($self, $piece) if $self->{on_body};
    my $p = $self->{pause};
    if ($p && !$p->{taken} && $self->{length} >= $p->{bytes}) {
        $p->{taken} = 1;
        $self->{deaf_until} = $now + $p->{for};
    }
    my $a = $self->{abort};
    $self->leave if $a && $a->{bytes} && $self->{length} >= $a->{bytes};
}

# Leaves like a client that lost interest.
sub leave {
    my ($self, $mode) = @_;
    $mode //= ($self->{abort} && $self->{abort}{mode}) // 'close';
    my $s = $self->{socket};
    if ($mode eq 'half') { shutdown $s, 1 }
    elsif ($mode eq 'rst') {
        setsockopt $s, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);
    }
    $self->{left_at} = time - $self->{started};
    $self->{error} //= 'left';
    $self->{done} = 1;
    close $s unless $mode eq 'half';
}

sub _eof {
    my ($self) = @_;
    return $self->_fail('closed before the headers') unless $self->{mode};
    return $self->_end                               if $self->{mode} eq 'close';
    return $self->_fail('closed in the body');
}

sub _end {
    my ($self) = @_;
    $self->{whole}    = 1;
    $self->{done}     = 1;
    $self->{ended_at} = time - $self->{started};
    close $self->{socket} unless $self->{keep};
}

# With "keep" the connection stays open; this makes it wait for another response,
# after sending $bytes if given.
sub again {
    my ($self, $bytes) = @_;
    delete @$self{qw(status response head mode left chunk last_chunk first_at headers_at ended_at)};
    @$self{qw(body length pieces whole done)} = ('', 0, [], 0, 0);
    $self->{started} = time;
    $self->{out} .= $bytes // '';
    $self->_parse(time) if length $self->{in};
    return $self;
}

sub _fail {
    my ($self, $error) = @_;
    return if $self->{done};
    $self->{error}    = $error;
    $self->{done}     = 1;
    $self->{ended_at} = time - ($self->{started} // time);
    close $self->{socket} if $self->{socket};
}

# The time at which body byte number $n (from 1) had arrived.
sub time_of {
    my ($self, $n) = @_;
    my ($lo, $hi) = (0, $#{ $self->{pieces} });
    return undef if $hi < 0 || $self->{pieces}[$hi][1] < $n;
    while ($lo < $hi) {
        my $mid = int(($lo + $hi) / 2);
        if   ($self->{pieces}[$mid][1] >= $n) { $hi = $mid }
        else                                  { $lo = $mid + 1 }
    }
    return $self->{pieces}[$lo][0];
}

1;
