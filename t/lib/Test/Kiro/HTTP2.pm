package Test::Kiro::HTTP2;

# Just enough of HTTP/2 without TLS to be a bad client: streams on one connection, resets, windows that stay shut.
#
#   my $c = Test::Kiro::HTTP2->new($port);
#   my $id = $c->request(POST => '/v1/messages', $json, 'x-name' => 'value');
#   $c->turn(1, sub { ... });                 # until true, or so many seconds
#   $c->{streams}{$id}; # {head, body, ended, reset}
#   $c->reset($id);

use strict;
use warnings;
use IO::Socket::INET;
use Time::HiRes qw(time);

# windows => 0: the client lets nothing in but headers
sub new {
    my ($class, $port, %o) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "connect: $!";
    $socket->autoflush(1);
    my $self = bless { socket => $socket, next => 1, streams => {}, in => '', open => 1, %o }, $class;
    my $settings = defined $o{window} ? pack('nN', 4, $o{window}) : '';
    print {$socket} "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . _frame(4, 0, 0, $settings);
    return $self;
}

sub _frame {
    my ($type, $flags, $id, $payload) = @_;
    return substr(pack('N', length $payload), 1) . pack('CCN', $type, $flags, $id) . $payload;
}

# A literal that nobody remembers.
sub _field {
    my ($name, $value) = @_;
    return "\0" . join '', map { (length $_ < 127 ? chr length $_ : "\x7f" . chr(length($_) - 127)) . $_ } $name, $value;
}

sub request {
    my ($self, $method, $path, $body, @headers) = @_;
    my $id = $self->{next};
    $self->{next} += 2;
    my $block = _field(':method', $method) . _field(':scheme', 'http') . _field(':path', $path) . _field(':authority', 'localhost');
    $block .= _field('content-type', 'application/json') if defined $body;
    while (my ($name, $value) = splice @headers, 0, 2) { $block .= _field($name, $value) }
    my $out = _frame(1, defined $body ? 4 : 5, $id, $block);
    if (defined $body) {
        my @pieces = $body =~ /(.{1,16000})/gs;
        $out .= _frame(0, $_ == $#pieces ? 1 : 0, $id, $pieces[$_]) for 0 .. $#pieces;
    }
    $self->{streams}{$id} = { body => '', head => '', at => [] };
    print { $self->{socket} } $out;
    return $id;
}

sub reset { my ($self, $id) = @_; print { $self->{socket} } _frame(3, 0, $id, pack 'N', 8); return }

sub widen {
    my ($self, $id, $by) = @_;
    print { $self->{socket} } _frame(8, 0, $id, pack 'N', $by);
    return;
}

sub turn {
    my ($self, $seconds, $until) = @_;
    my $deadline = time + $seconds;
    while ($self->{open} && time < $deadline && !($until && $until->())) {
        my $r = '';
        vec($r, fileno $self->{socket}, 1) = 1;
        next if select($r, undef, undef, 0.02) <= 0;
        my $n = sysread $self->{socket}, my $data, 65536;
        if (!$n) { $self->{open} = 0; last }
        $self->{in} .= $data;
        $self->_take;
    }
    return $until ? $until->() : 1;
}

sub _take {
    my ($self) = @_;
    while (length $self->{in} >= 9) {
        my $length = unpack 'N', "\0" . substr $self->{in}, 0, 3;
        last if length $self->{in} < 9 + $length;
        my ($type, $flags, $id) = unpack 'CCN', substr $self->{in}, 3, 6;
        my $payload = substr $self->{in}, 9, $length;
        substr $self->{in}, 0, 9 + $length, '';
        my $s = $self->{streams}{$id};
        if ($type == 4 && !($flags & 1)) { print { $self->{socket} } _frame(4, 1, 0, '') }
        elsif ($type == 6 && !($flags & 1)) { print { $self->{socket} } _frame(6, 1, 0, $payload) }
        elsif ($type == 7) { $self->{goaway} = 1 }
        next if !$s;
        if ($type == 0) {
            $s->{body} .= $payload;
            push @{ $s->{at} }, [ time, length $s->{body} ];
            if ($length && !defined $self->{window}) { $self->widen(0, $length); $self->widen($id, $length) }
        }
        elsif ($type == 1) { $s->{head} .= $payload }
        elsif ($type == 3) { $s->{reset} = unpack 'N', $payload }
        $s->{ended} = 1 if ($type == 0 || $type == 1) && $flags & 1;
    }
    return;
}

sub leave { my ($self) = @_; close $self->{socket}; $self->{open} = 0; return }

1;
