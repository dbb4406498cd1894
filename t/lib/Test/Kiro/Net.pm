package Test::Kiro::Net;

# What may stand between nginx and the service: a name server, an HTTP proxy that
# knows CONNECT, a forwarder of connections. Each is a process; what it does is told
# by set() and can change at any time.
#
#   my $dns = Test::Kiro::Net->dns($t);      $dns->set('up.test' => { a => ['127.0.0.1'], ttl => 1 });
#   my $px  = Test::Kiro::Net->proxy($t);    $px->set(mode => 'ok');
#   my $fw  = Test::Kiro::Net->forward($t, '127.0.0.2', $port);
#
# Names: { a => [...], ttl }, { rcode => 3 }, { silent => 1 }.
# Modes of a proxy: ok, 407, 403, 502, silent, cut, garbage, huge, partial, early, flood; of a forwarder: ok, deaf (ends
# a connection when the client sends more on it).

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use Test::Kiro;

sub dns {
    my ($class, $t) = @_;
    my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Proto => 'udp') or die "udp: $!";
    return $class->_start($t, 'dns', $s, sub { _dns($_[0], $s) });
}

sub proxy {
    my ($class, $t, %o) = @_;
    my $s = _listen('127.0.0.1', 0);
    return $class->_start($t, 'proxy', $s, sub { _accept($_[0], $s, \&_connect) });
}

# A port of another loopback address that leads to the same port of 127.0.0.1.
sub forward {
    my ($class, $t, $addr, $port) = @_;
    my $s = _listen($addr, $port);
    return $class->_start($t, 'forward', $s, sub {
        _accept($_[0], $s, sub { my ($self, $c) = @_; _pump($self, $c, _to($port)) });
    });
}

sub _listen {
    my ($addr, $port) = @_;
    return IO::Socket::INET->new(LocalAddr => $addr, LocalPort => $port, Listen => 64, ReuseAddr => 1) || die "$addr:$port: $!";
}

sub _start {
    my ($class, $t, $kind, $s, $run) = @_;
    my $n = ++$t->{net}{$kind};
    my $self = bless {
        t => $t, control => "$t->{dir}/files/$kind$n.json", journal => "$t->{dir}/files/$kind$n.log",
        port => $s->sockport, owner => $$, state => {},
    }, $class;
    $self->set;
    defined($self->{pid} = fork) or die "fork: $!";
    if (!$self->{pid}) {
        setpgrp;
        $SIG{$_} = 'DEFAULT' for qw(TERM INT);
        $SIG{PIPE} = 'IGNORE';
        eval { $run->($self); 1 } or print STDERR "$kind: $@";
        require POSIX;
        POSIX::_exit(1);
    }
    close $s;
    return $self;
}

sub port { return $_[0]{port} }

sub set {
    my ($self, %o) = @_;
    $self->{state} = { %{ $self->{state} }, %o };
    Test::Kiro::spew("$self->{control}.new", json($self->{state}));
    rename "$self->{control}.new", $self->{control} or die "$self->{control}: $!";
    return $self;
}

sub _state {
    my ($self) = @_;
    return json(Test::Kiro::slurp($self->{control}));
}

# What it was asked, a line each.
sub asked {
    my ($self) = @_;
    return split /\n/, Test::Kiro::slurp($self->{journal});
}

sub _note {
    my ($self, $line) = @_;
    open my $fh, '>>', $self->{journal} or die "$self->{journal}: $!";
    syswrite $fh, "$line\n";
    return;
}

# Ends the connections, and with "all" the process that takes new ones.
sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    kill KILL => -$pid;
    waitpid $pid, 0;
    return;
}

# Cuts what is open; new connections are still taken.
sub cut {
    my ($self) = @_;
    for my $stat (glob '/proc/[0-9]*/stat') {
        my ($pid, $ppid) = Test::Kiro::slurp($stat) =~ /^(\d+) \(.*\) \S (\d+) /s or next;
        kill KILL => $pid if $ppid == $self->{pid};
    }
    return;
}

sub DESTROY { my ($self) = @_; local $?; $self->stop if $self->{owner} == $$; return }

# --- the name server -------------------------------------------------------

sub _dns {
    my ($self, $s) = @_;
    while (1) {
        my $peer = $s->recv(my $q, 512) // next;
        next if length $q < 17;
        my ($id) = unpack 'n', $q;
        my ($at, @labels) = (12);
        while (my $n = ord substr $q, $at, 1) { push @labels, substr $q, $at + 1, $n; $at += $n + 1 }
        my $type = unpack 'n', substr $q, $at + 1, 2;
        my $name = join '.', @labels;
        my $o    = $self->_state->{$name} // { rcode => 3 };
        $self->_note("$name $type");
        next if $o->{silent};
        my @a = $type == 1 ? @{ $o->{a} // [] } : ();
        my $question = substr $q, 12, $at + 5 - 12;
        my $answer = join '', map { pack 'n n n N n a4', 0xc00c, 1, 1, $o->{ttl} // 60, 4, pack 'C4', split /\./ } @a;
        $s->send(pack('n n n n n n', $id, 0x8180 | ($o->{rcode} // 0), 1, scalar @a, 0, 0) . $question . $answer, 0, $peer);
    }
}

# --- connections -----------------------------------------------------------

sub _accept {
    my ($self, $s, $serve) = @_;
    local $SIG{CHLD} = 'IGNORE';
    while (1) {
        my $c = $s->accept or next;
        my $pid = fork;
        next if $pid;
        close $s;
        eval { $serve->($self, $c) };
        close $c;
        require POSIX;
        POSIX::_exit(0);
    }
}

sub _to { my ($port) = @_; return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) || die "$port: $!" }

sub _pump {
    my ($self, $c, $u) = @_;
    my $both = IO::Select->new($c, $u);
    while (1) {
        for my $from ($both->can_read) {
            my $n = sysread $from, my $data, 65536;
            return if !$n;
            return if $from == $c && ($self->_state->{mode} // '') eq 'deaf';
            my $to = $from == $c ? $u : $c;
            while (length $data) {
                my $w = syswrite $to, $data or return;
                substr $data, 0, $w, '';
            }
        }
    }
}

my %answer = (
    407     => "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 5\r\n\r\nno!\r\n",
    403     => "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    502     => "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
    garbage => "220 smtp.example ESMTP\r\n",
    huge    => "HTTP/1.1 200 OK\r\nX-Long: " . 'x' x 40_000 . "\r\n\r\n",
    partial => "HTTP/1.1 200 Conn",
    early   => "HTTP/1.1 200 Connection established\r\n\r\nhello",
    cut     => '',
);

sub _connect {
    my ($self, $c) = @_;
    my $head = '';
    until ($head =~ /\r\n\r\n/) { sysread $c, $head, 4096, length $head or return }
    my $o = $self->_state;
    my ($host, $port) = $head =~ m{^CONNECT (\S+):(\d+) HTTP/1\.1\r\n};
    my ($auth) = $head =~ /^Proxy-Authorization: Basic (\S+)\r$/mi;
    my ($named) = $head =~ /^Host: (\S+)\r$/mi;
    $self->_note(join ' ', $host // '?', $port // '?', $named // '?', $auth // '-');
    my $mode = $o->{mode} // 'ok';
    if ($mode eq 'silent') { sleep 60; return }
    if (exists $answer{$mode}) { syswrite $c, $answer{$mode}; sleep 60 if $mode eq 'partial' && $o->{hang}; return }
    my $u = _to($port);
    if ($mode eq 'slow') {
        for my $piece (split /(?<=\G.{7})/s, "HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n") {
            syswrite $c, $piece;
            select undef, undef, undef, 0.02;
        }
    }
    else { syswrite $c, "HTTP/1.1 200 Connection established\r\n\r\n" }
    return _pump($self, $c, $u);
}

1;
