package KiroSim::Frame;

# application/vnd.amazon.eventstream messages.

use v5.36;
use Compress::Zlib ();
use Exporter 'import';
use KiroSim::Json qw(encode_json);

our @EXPORT_OK = qw(message event exception error_message text_event corrupt);

my %head;           # header block by kind and name
my %text;           # whole frames of text deltas, as streams repeat them
my $cached = 0;
my $CACHE_LIMIT = 32 << 20;

sub message ($headers, $payload) {
    my $prelude = pack 'NN', 16 + length($headers) + length $payload, length $headers;
    my $bytes = $prelude . pack('N', Compress::Zlib::crc32($prelude)) . $headers . $payload;
    return $bytes . pack 'N', Compress::Zlib::crc32($bytes);
}

sub _strings (@pairs) {
    my $out = '';
    while (my ($name, $value) = splice @pairs, 0, 2) { $out .= pack 'C/a* C n/a*', $name, 7, $value }
    return $out;
}

sub event ($type, $payload, %opt) {
    my $head = $head{"e$type"} //=
        _strings(':event-type', $type, ':content-type', 'application/json', ':message-type', 'event');
    return message($head, ref $payload ? encode_json($payload, %opt) : $payload);
}

sub exception ($type, $payload) {
    my $head = $head{"x$type"} //=
        _strings(':exception-type', $type, ':content-type', 'application/json', ':message-type', 'exception');
    return message($head, encode_json($payload));
}

sub error_message ($code, $message) {
    return message(_strings(':error-code', $code, ':error-message', $message, ':message-type', 'error'), '');
}

# A delta event with one string member; frames are kept, since many streams send the same pieces.
sub text_event ($type, $member, $piece, $ascii = 0) {
    my $key = "$ascii$type\0$member\0$piece";
    my $frame = $text{$key};
    return $frame if defined $frame;
    if ($cached > $CACHE_LIMIT) { %text = (); $cached = 0 }
    $frame = event($type, { $member => $piece }, ascii => $ascii);
    $cached += 2 * length $frame;
    return $text{$key} = $frame;
}

my %LENGTHS = (    # total and header length of a message, with a checksum that is good
    length => sub ($total, $head) { (4, $head) },
    longest => sub ($total, $head) { (0x01ffffff, $head) },
    headers => sub ($total, $head) { ($total, $total) },
);

# One flipped bit in the prelude's checksum or in the middle of the message; lengths that cannot be; or a header of no
# known type in a message that is sound otherwise.
sub corrupt ($frame, $where) {
    if (my $lengths = $LENGTHS{$where}) {
        my $prelude = pack 'NN', $lengths->(unpack 'NN', $frame);
        return $prelude . pack('N', Compress::Zlib::crc32($prelude)) . substr $frame, 12;
    }
    if ($where eq 'header') {
        my $head = unpack 'x4 N', $frame;
        my $name = unpack 'x12 C', $frame;
        substr($frame, 13 + $name, 1) = "\x0f";
        return message(substr($frame, 12, $head), substr $frame, 12 + $head, length($frame) - $head - 16);
    }
    my $at = $where eq 'prelude' ? 10 : length($frame) - 6;
    substr($frame, $at, 1) ^.= "\x10";
    return $frame;
}

1;
