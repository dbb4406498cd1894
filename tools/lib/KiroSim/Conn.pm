package KiroSim::Conn;

# One client connection: TLS or plain bytes, HTTP/1.x requests in, answers and paced streams out.
# The service gets each whole request as {method, path, query, http, headers, body, conn}.

use v5.36;
use Errno qw(EAGAIN EWOULDBLOCK EINTR);
use List::Util qw(min);
use Net::SSLeay ();
use POSIX ();
use Scalar::Util ();
use Socket qw(SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY);
use Time::HiRes ();
use KiroSim::Loop ();

my $MAX_HEAD = 64 << 10;
my $MAX_BODY = 64 << 20;
my $HIGH     = 256 << 10;     # bytes waiting for the socket before a stream pauses
my $BUDGET   = 1 << 20;       # bytes a fast stream may send before others get their turn

my %PHRASE = (200 => 'OK', 400 => 'Bad Request', 401 => 'Unauthorized', 402 => 'Payment Required', 403 => 'Forbidden', 404 => 'Not Found',
    405 => 'Method Not Allowed', 409 => 'Conflict', 413 => 'Content Too Large', 415 => 'Unsupported Media Type', 423 => 'Locked',
    429 => 'Too Many Requests', 500 => 'Internal Server Error', 502 => 'Bad Gateway', 503 => 'Service Unavailable',
    504 => 'Gateway Timeout');

sub new ($class, %arg) {
    my $self = bless { %arg, fd => fileno $arg{socket}, in => '', out => '', out_at => 0, wants_write => 0,
                       busy => 0, closed => 0 }, $class;
    $self->{socket}->blocking(0);
    setsockopt $self->{socket}, IPPROTO_TCP, TCP_NODELAY, 1;
    if ($arg{tls}) {
        $self->{ssl} = Net::SSLeay::new($arg{tls});
        Net::SSLeay::set_fd($self->{ssl}, $self->{fd});
        Net::SSLeay::set_accept_state($self->{ssl});
    }
    $self->{loop}->add($self->{fd}, $self);
    return $self;
}

sub wall_ms { int(1000 * Time::HiRes::time()) }

# --- bytes in ---------------------------------------------------------------------------------------------------

# Appends what the peer sent; returns bytes read, 0 when there is nothing now, undef when the peer is gone.
sub _read ($self) {
    if ($self->{ssl}) {
        Net::SSLeay::ERR_clear_error();
        my ($data, $rv) = Net::SSLeay::read($self->{ssl}, 65536);
        if (defined $data && length $data) { $self->{in} .= $data; return length $data }
        my $error = Net::SSLeay::get_error($self->{ssl}, $rv // -1);
        return 0 if $error == Net::SSLeay::ERROR_WANT_READ();
        if ($error == Net::SSLeay::ERROR_WANT_WRITE()) { $self->_want_write(1); return 0 }
        return undef;
    }
    my $count = sysread $self->{socket}, $self->{in}, 65536, length $self->{in};
    return $count || undef if defined $count;
    return $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR ? 0 : undef;
}

sub on_readable ($self) {
    while (!$self->{closed}) {
        my $count = $self->_read;
        return $self->_peer_gone if !defined $count;
        last if !$count;
        if ($self->{busy} && length $self->{in} > $MAX_HEAD) { $self->{loop}->want_read($self->{fd}, 0); return }
        last if !$self->{ssl} && $count < 65536;
    }
    $self->_next_request;
}

sub failed ($self, $error) {
    warn "kiro-sim: $error";
    $self->close('failed');
}

sub _peer_gone ($self) {
    if (my $entry = $self->{entry}) {
        $entry->{closed_by_client_at} //= wall_ms();
    }
    $self->close('client_closed');
}

sub _next_request ($self) {
    return if $self->{busy} || $self->{closed};
    my $request = $self->_take_request or return;
    $self->{busy} = 1;
    $self->{keep} = $request->{keep};
    $self->{http} = $request->{http};
    $self->{service}->handle($self, $request);
}

sub _bad ($self, $status, $why) {
    $self->{busy} = 1;
    $self->{keep} = 0;
    $self->answer($status, ['content-type' => 'text/plain'], "$why\n");
    return undef;
}

# A whole request out of the input, or undef while it is incomplete.
sub _take_request ($self) {
    my $head = $self->{head};
    if (!$head) {
        $self->{in} =~ s/\A(?:\r\n)+//;
        my $end = index $self->{in}, "\r\n\r\n";
        if ($end < 0) {
            return length $self->{in} > $MAX_HEAD ? $self->_bad(400, 'request head too large') : undef;
        }
        my ($line, @lines) = split /\r\n/, substr $self->{in}, 0, $end;
        substr($self->{in}, 0, $end + 4) = '';
        $line =~ m{\A([A-Z]+) (/[^ ?]*)(?:\?([^ ]*))? HTTP/(1\.[01])\z} or return $self->_bad(400, 'bad request line');
        $head = { method => $1, path => $2, query => $3, http => $4, headers => {}, body => '' };
        for (@lines) {
            /\A([!#\$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*\z/ or return $self->_bad(400, 'bad header line');
            my $name = lc $1;
            return $self->_bad(400, "duplicate header $name")
                if exists $head->{headers}{$name} && $name =~ /\A(?:host|content-length|authorization|content-type|x-amz-target)\z/;
            $head->{headers}{$name} = exists $head->{headers}{$name} ? "$head->{headers}{$name}, $2" : $2;
        }
        my $h = $head->{headers};
        return $self->_bad(400, 'no host') if !defined $h->{host} && $head->{http} eq '1.1';
        my $connection = lc($h->{connection} // '');
        $head->{keep} = $head->{http} eq '1.1' ? $connection !~ /\bclose\b/ : $connection =~ /\bkeep-alive\b/;
        if (lc($h->{'transfer-encoding'} // '') eq 'chunked') {
            return $self->_bad(400, 'both lengths') if defined $h->{'content-length'};
            $head->{chunked} = 1;
        }
        elsif (defined $h->{'transfer-encoding'}) { return $self->_bad(400, 'bad transfer-encoding') }
        $head->{length} = $h->{'content-length'} // 0;
        return $self->_bad(400, 'bad content-length') if $head->{length} !~ /\A[0-9]{1,12}\z/;
        return $self->_bad(413, 'body too large') if $head->{length} > $MAX_BODY;
        $self->_send("HTTP/1.1 100 Continue\r\n\r\n") if lc($h->{expect} // '') eq '100-continue';
        $self->{head} = $head;
    }
    if ($head->{chunked}) {
        while (!$head->{last}) {
            $self->{in} =~ /\A([0-9a-fA-F]{1,8})(?:;[^\r\n]*)?\r\n/ or
                return length $self->{in} > 100 ? $self->_bad(400, 'bad chunk') : undef;
            my ($size, $start) = (hex $1, $+[0]);
            return $self->_bad(413, 'body too large') if $size + length $head->{body} > $MAX_BODY;
            return undef if length $self->{in} < $start + $size + 2;
            $head->{body} .= substr $self->{in}, $start, $size;
            substr($self->{in}, 0, $start + $size + 2) = '';
            $head->{last} = !$size;
        }
    }
    else {
        return undef if length $self->{in} < $head->{length};
        $head->{body} = substr $self->{in}, 0, $head->{length}, '';
    }
    delete $self->{head};
    return $head;
}

# --- bytes out --------------------------------------------------------------------------------------------------

sub _want_write ($self, $on) {
    return if $self->{wants_write} == $on || $self->{closed};
    $self->{wants_write} = $on;
    $self->{loop}->want_write($self->{fd}, $on);
}

sub _pending ($self) { length($self->{out}) - $self->{out_at} }

# Queues bytes and writes what the socket takes.
sub _send ($self, $bytes) {
    return if $self->{closed};
    if ($self->{out_at} > 1 << 20) { substr($self->{out}, 0, $self->{out_at}) = ''; $self->{out_at} = 0 }
    $self->{out} .= $bytes;
    $self->_flush if !$self->{wants_write};
}

sub _flush ($self) {
    while (!$self->{closed}) {
        my $left = length($self->{out}) - $self->{out_at};
        if (!$left) {
            $self->{out} = '';
            $self->{out_at} = 0;
            $self->_want_write(0);
            return 1;
        }
        my $count;
        if ($self->{ssl}) {
            Net::SSLeay::ERR_clear_error();
            $count = Net::SSLeay::write($self->{ssl}, substr $self->{out}, $self->{out_at}, min($left, 1 << 17));
            if ($count <= 0) {
                my $error = Net::SSLeay::get_error($self->{ssl}, $count);
                if ($error == Net::SSLeay::ERROR_WANT_WRITE()) { $self->_want_write(1); return 0 }
                return 0 if $error == Net::SSLeay::ERROR_WANT_READ();
                $self->_peer_gone;
                return 0;
            }
        }
        else {
            $count = syswrite $self->{socket}, $self->{out}, $left, $self->{out_at};
            if (!defined $count) {
                if ($! == EAGAIN || $! == EWOULDBLOCK) { $self->_want_write(1); return 0 }
                next if $! == EINTR;
                $self->_peer_gone;
                return 0;
            }
        }
        $self->{out_at} += $count;
        if (my $entry = $self->{entry}) { $entry->{bytes_sent} += $count }
    }
    return 0;
}

sub on_writable ($self) {
    if ($self->{ssl} && !$self->_pending) {    # the handshake or a renegotiation wanted it
        $self->_want_write(0);
        return $self->on_readable;
    }
    $self->_flush or return;
    return if $self->{closed};
    return $self->_finish if $self->{finishing};
    $self->_pump if $self->{stream} && !$self->{stream}{waiting};
}

# --- answers ----------------------------------------------------------------------------------------------------

my $date = [0, ''];

sub _head ($self, $status, $headers) {
    my $now = time;
    $date = [$now, POSIX::strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime $now)] if $date->[0] != $now;
    my $text = "HTTP/1.1 $status " . ($PHRASE{$status} // 'Status') . "\r\ndate: $date->[1]\r\n";
    for (my $i = 0; $i < @$headers; $i += 2) { $text .= "$headers->[$i]: $headers->[$i+1]\r\n" }
    $text .= "connection: " . ($self->{keep} ? 'keep-alive' : 'close') . "\r\n";
    return $text;
}

sub interim ($self, $status) { $self->_send("HTTP/1.1 $status Interim\r\nx-interim: yes\r\n\r\n") }

# A whole answer with its length, which may lie by "claim" bytes, and bytes behind its end.
sub answer ($self, $status, $headers, $body, %opt) {
    $self->{entry}{end} = 'complete' if $self->{entry};
    my $length = $status == 204 ? '' : 'content-length: ' . (length($body) + ($opt{claim} // 0)) . "\r\n";
    $self->_send($self->_head($status, $headers) . "$length\r\n$body" . ($opt{surplus} // ''));
    $self->_end_of_answer;
}

sub _end_of_answer ($self) {
    return if $self->{closed};
    if ($self->_pending) { $self->{finishing} = 1; return }
    $self->_finish;
}

sub _finish ($self) {
    delete @$self{qw(finishing stream)};
    if (my $entry = delete $self->{entry}) { $entry->{done_at} = wall_ms() }
    $self->{service}->answered($self);
    return $self->close if !$self->{keep};
    $self->{busy} = 0;
    $self->{loop}->want_read($self->{fd}, 1);
    $self->_next_request if length $self->{in};
}

# Ends the connection without or in the middle of an answer: fin, rst or hang.
sub abandon ($self, $mode, $delay = 20) {
    $self->{entry}{end} = "cut_$mode" if $self->{entry};
    return if $mode eq 'hang';
    return $self->close("cut_$mode") if $mode ne 'rst';
    # The peer shall have read what was sent: a reset throws away what is still under way.
    $self->{loop}->at(KiroSim::Loop::now_ms() + $delay, sub {
        return if $self->{closed};
        setsockopt $self->{socket}, SOL_SOCKET, SO_LINGER, pack 'i2', 1, 0;
        $self->close('cut_rst');
    });
}

sub close ($self, $why = undef) {
    return if $self->{closed};
    $self->{closed} = 1;
    $self->{loop}->remove($self->{fd});
    if (my $entry = delete $self->{entry}) {
        $entry->{end} = $why if $why && ($why eq 'client_closed' || !defined $entry->{end});
        $entry->{done_at} //= wall_ms();
    }
    if ($self->{ssl}) {
        Net::SSLeay::shutdown($self->{ssl}) if !$why;
        Net::SSLeay::free(delete $self->{ssl});
    }
    CORE::close(delete $self->{socket});
    delete $self->{stream};
    $self->{service}->gone($self);
}

# --- streams ----------------------------------------------------------------------------------------------------
# {next, framing, gap, first, chunk, chunk_ms, cut_bytes, cut_events, cut_mode, silence {at, ms}, hold {at, name}, length}

sub stream ($self, $status, $headers, $s) {
    $s->{framing} = 'close' if $s->{framing} eq 'chunked' && $self->{http} eq '1.0';
    $self->{keep} = 0 if $s->{framing} eq 'close';
    my %framing = (chunked => ['transfer-encoding' => 'chunked'], length => ['content-length' => $s->{length}], close => []);
    my @more = @{ $framing{ $s->{framing} } };
    $s->{events} = $s->{body} = 0;
    $s->{rest} = '';
    $s->{due} = KiroSim::Loop::now_ms() + $s->{first};
    $s->{simple} = $s->{gap} && !grep { defined $s->{$_} } qw(chunk cut_bytes cut_events silence hold);
    $self->{stream} = $s;
    my $head = $self->_head($status, [@$headers, @more]) . "\r\n";
    if (defined $s->{cut_head}) {
        $self->_send(substr $head, 0, $s->{cut_head});
        return $self->_cut_when_sent($s);
    }
    return $self->_head_slowly($s, $head) if $s->{head_piece};
    $self->_send($head);
    $self->_pump if !$self->{closed};
}

sub _head_slowly ($self, $s, $head) {
    return if $self->{closed};
    $self->_send(substr $head, 0, $s->{head_piece}, '');
    my $next = $head eq '' ? sub { $self->_pump if !$self->{closed} } : sub { $self->_head_slowly($s, $head) };
    $self->{loop}->at(KiroSim::Loop::now_ms() + ($s->{head_ms} // 1), $next);
}

# What goes on with the stream when its time has come.
sub _wake ($self, $s) {
    return $s->{wake} //= do {
        Scalar::Util::weaken(my $weak = $s);    # the stream owns this
        sub {
            return if !$weak || $self->{closed} || !$self->{stream} || $self->{stream} != $weak;
            $weak->{waiting} = 0;
            $self->_pump if !$self->{wants_write};
        };
    };
}

sub _sleep_until ($self, $s, $due) {
    $s->{waiting} = 1;
    $self->{loop}->at($due, $s->{wake} // $self->_wake($s));
}

# The usual case of a paced stream, one event a time, made short: hundreds of them may be open.
# True when the stream sleeps again; false leaves the work to the general case.
my @CHUNK_HEAD;

sub _pump_one ($self, $s, $now) {
    return 0 if $s->{due} > $now || $self->{ssl} && length $self->{out};
    my $frame = $s->{next}->();
    return 0 if !defined $frame;
    my $size = length $frame;
    my $entry = $self->{entry};
    $entry->{body_bytes} += $size;
    $entry->{events_sent} = ++$s->{events};
    $entry->{first_byte_at} //= wall_ms();
    $s->{body} += $size;
    if ($s->{framing} eq 'chunked') {
        my $head = $size < 4096 ? $CHUNK_HEAD[$size] //= sprintf "%x\r\n", $size : sprintf "%x\r\n", $size;
        $frame = "$head$frame\r\n";
    }
    $s->{due} += $s->{gap};
    $s->{due} = $now + $s->{gap} if $s->{due} <= $now;
    my $count = $self->{ssl} || $self->{out} ne '' ? 0 : syswrite $self->{socket}, $frame;
    if ($count) {
        $entry->{bytes_sent} += $count;
        $self->_send(substr $frame, $count) if $count < length $frame;
    }
    else { $self->_send($frame) }
    return 1 if $self->{closed};
    $s->{waiting} = 1;
    $self->{loop}->at($s->{due}, $s->{wake} // $self->_wake($s));
    return 1;
}

# Continues a stream that was held by name.
sub resume ($self) {
    my $s = $self->{stream} or return;
    $s->{waiting} = 0;
    $s->{due} = KiroSim::Loop::now_ms();
    $self->_pump if !$self->{wants_write};
}

sub _body ($self, $s, $bytes) {
    my $size = length $bytes;
    my $cut = $s->{cut_bytes};
    if (defined $cut && $s->{body} + $size >= $cut) {
        $bytes = substr $bytes, 0, $cut - $s->{body};
        $s->{cut} = 1;
    }
    $s->{body} += length $bytes;
    if (length $bytes) {
        if (my $entry = $self->{entry}) {
            $entry->{body_bytes} += length $bytes;
            $entry->{first_byte_at} //= wall_ms();
        }
        return $s->{framing} eq 'chunked' ? sprintf("%x\r\n", length $bytes) . $bytes . "\r\n" : $bytes;
    }
    return '';
}

# Sends what is due; stops for a pause, a full socket, or after its share.
sub _pump ($self) {
    my $s = $self->{stream} or return;
    my $now = KiroSim::Loop::now_ms();
    return if $s->{simple} && $self->_pump_one($s, $now);
    my $batch = '';
    my $sent = 0;
    while (1) {
        if ($s->{due} > $now) {
            $self->_send($batch) if $batch ne '';
            return if $self->{closed};
            return $self->_sleep_until($s, $s->{due});
        }
        if ($s->{rest} eq '') {
            if (defined $s->{cut_events} && $s->{events} >= $s->{cut_events}) { $s->{cut} = 1; last }
            if ($s->{hold} && $s->{events} >= $s->{hold}{at}) {
                my $name = (delete $s->{hold})->{name};
                $self->_send($batch) if $batch ne '';
                $s->{waiting} = 1;
                return $self->{service}->hold($self, $name, sub { $self->resume });
            }
            if ($s->{silence} && $s->{events} + 1 >= $s->{silence}{at}) {
                $s->{due} = $now + (delete $s->{silence})->{ms};
                next;
            }
            if (defined $s->{cut_bytes} && $s->{body} >= $s->{cut_bytes}) { $s->{cut} = 1; last }
            my $frame = $s->{next}->();
            last if !defined $frame;
            $s->{rest} = $frame;
        }
        my $bytes;
        if ($s->{chunk} && length $s->{rest} > $s->{chunk}) {
            $bytes = substr $s->{rest}, 0, $s->{chunk}, '';
        }
        else {
            $bytes = $s->{rest};
            $s->{rest} = '';
            $s->{events}++;
            if (my $entry = $self->{entry}) { $entry->{events_sent} = $s->{events} }
            if ($s->{gap}) {
                # An even pace; a stream that was held up does not hurry to catch up.
                $s->{due} += $s->{gap};
                $s->{due} = $now + $s->{gap} if $s->{due} <= $now;
            }
        }
        $batch .= $self->_body($s, $bytes);
        last if $s->{cut};
        if ($s->{chunk}) {
            $self->_send($batch);
            return if $self->{closed} || $self->{wants_write};
            $batch = '';
            $s->{due} = $now + $s->{chunk_ms} if $s->{chunk_ms} && $s->{rest} ne '';
            next if $s->{due} > $now;
            return $self->_yield($s);
        }
        if (length $batch >= 1 << 17) {
            $sent += length $batch;
            $self->_send($batch);
            return if $self->{closed} || $self->{wants_write};
            $batch = '';
            return $self->_yield($s) if $sent >= $BUDGET;
        }
    }
    if ($s->{cut} && $s->{cut_mode} eq 'chunk') { $batch .= "no chunk\r\n" }
    if ($s->{cut} && $s->{cut_mode} ne 'end') {
        $self->_send($batch) if $batch ne '';
        return if $self->{closed};
        return $self->_cut_when_sent($s);
    }
    $batch .= "0\r\n\r\n" if $s->{framing} eq 'chunked';
    $batch .= $s->{surplus} // '';
    $self->{entry}{end} = $s->{cut} ? 'cut_end' : 'complete' if $self->{entry};
    $self->_send($batch) if $batch ne '';
    $self->_end_of_answer;
}

sub _yield ($self, $s) {
    $s->{waiting} = 1;
    $self->{loop}->soon($self->_wake($s));
}

sub _cut_when_sent ($self, $s) {
    $s->{waiting} = 1;
    return $self->abandon($s->{cut_mode}) if !$self->_pending;
    $self->{loop}->at(KiroSim::Loop::now_ms() + 2, sub { $self->_cut_when_sent($s) if !$self->{closed} });
}

1;
