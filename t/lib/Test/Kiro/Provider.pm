package Test::Kiro::Provider;

# Another provider behind nginx: a process that notes what it is asked and answers by a mode that can change at any time.
#
#   my $other = Test::Kiro::Provider->new($t);       # before the configuration: $other->port
#   $other->set(mode => 'ok');                       # ok, error (500 with a body), drop, half (a stream that breaks)
#   $other->requests;                                # [{ method, path, headers, length, md5 }, ...]
#
# A body with "stream":true gets events, any other one an object.

use strict;
use warnings;
use parent 'Test::Kiro::Net';

use Digest::MD5 qw(md5_hex);
use Test::Kiro;

sub new {
    my ($class, $t) = @_;
    my $s = Test::Kiro::Net::_listen('127.0.0.1', 0);
    return $class->_start($t, 'provider', $s, sub {
        my ($self) = @_;
        $self->_accept($s, sub { my ($me, $c) = @_; 1 while _answer($me, $c) });
    });
}

sub requests { return map { json($_) } $_[0]->asked }

sub _read {
    my ($c, $in, $enough) = @_;
    until ($enough->($$in)) { sysread $c, $$in, 65536, length $$in or return 0 }
    return 1;
}

# True: the connection is kept.
sub _answer {
    my ($self, $c) = @_;
    my $in = '';
    _read($c, \$in, sub { $_[0] =~ /\r\n\r\n/ }) or return 0;
    my ($head, $body) = split /\r\n\r\n/, $in, 2;
    my ($line, @fields) = split /\r\n/, $head;
    my %h = map { my ($k, $v) = split /:\s*/, $_, 2; (lc $k => $v) } @fields;
    my $length = $h{'content-length'} // 0;
    _read($c, \$body, sub { length $_[0] >= $length }) or return 0;
    my ($method, $path) = split / /, $line;
    $self->_note(json({ method => $method, path => $path, headers => \%h, length => length $body, md5 => md5_hex($body) }));
    my $mode = $self->_state->{mode} // 'ok';
    return 0 if $mode eq 'drop';
    if ($mode eq 'error') {
        my $text = '{"error":{"message":"from elsewhere","type":"elsewhere"}}';
        syswrite $c, "HTTP/1.1 500 No\r\nContent-Type: application/json\r\nContent-Length: " . length($text) . "\r\n\r\n$text";
        return 1;
    }
    if ($body =~ /"stream":true/) {
        syswrite $c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        for my $word (qw(from elsewhere)) {
            my $event = "data: {\"word\":\"$word\"}\n\n";
            syswrite $c, sprintf "%x\r\n%s\r\n", length $event, $event;
            select undef, undef, undef, 0.05;
            return 0 if $mode eq 'half';
        }
        syswrite $c, "0\r\n\r\n";
        return 1;
    }
    my $text = json({ from => 'elsewhere', md5 => md5_hex($body) });
    syswrite $c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Elsewhere: yes\r\nAccess-Control-Allow-Origin: https://elsewhere.example\r\nContent-Length: " . length($text) . "\r\n\r\n$text";
    return 1;
}

1;
