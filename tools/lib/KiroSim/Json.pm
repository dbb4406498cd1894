package KiroSim::Json;

# Strict RFC 8259 reader and a canonical writer over byte strings. Perl 5.36 keeps apart strings, numbers and
# booleans, so values are plain scalars: is_string and friends tell them apart.

use v5.36;
no warnings qw(experimental::builtin recursion);
use Encode ();
use Exporter 'import';

our @EXPORT_OK = qw(decode_json decode_prefix encode_json raw_json is_string is_number is_bool is_int type_of valid_utf8);

our $MAX_DEPTH = 128;

sub is_bool   ($v) { defined $v && !ref $v && builtin::is_bool($v) }
sub is_number ($v) { defined $v && !ref $v && !builtin::is_bool($v) && builtin::created_as_number($v) }
sub is_string ($v) { defined $v && !ref $v && !builtin::is_bool($v) && !builtin::created_as_number($v) }
sub is_int    ($v) { is_number($v) && $v == int $v }

sub type_of ($v) {
    return 'null'   if !defined $v;
    return 'object' if ref $v eq 'HASH';
    return 'list'   if ref $v eq 'ARRAY';
    return is_bool($v) ? 'bool' : is_number($v) ? 'number' : 'string';
}

# Text that the writer copies as it is.
sub raw_json ($text) { bless \$text, 'KiroSim::Json::Raw' }

sub valid_utf8 {
    return 1 if $_[0] !~ /[\x80-\xff]/;
    return defined eval { Encode::decode('UTF-8', $_[0], Encode::FB_CROAK | Encode::LEAVE_SRC) };
}

# Dies with "depth" or "syntax ..."; lax lets lone surrogate escapes pass (kept as three-byte sequences).
sub decode_json ($text, %opt) {
    die "syntax: not UTF-8\n" if !valid_utf8($text);
    my ($value, $end) = decode_prefix($text, 0, %opt);
    pos($text) = $end;
    $text =~ /\G[ \t\r\n]*/gc;
    die "syntax: text after the value at byte $end\n" if pos($text) != length $text;
    return $value;
}

# Reads one value at an offset; returns it and the offset behind it.
sub decode_prefix ($text, $offset, %opt) {
    local $_ = $text;
    pos = $offset;
    my $value = _value(0, $opt{lax});
    return ($value, pos);
}

sub _value ($depth, $lax) {
    /\G[ \t\r\n]+/gc;
    return _string($lax) if /\G"/gc;
    if (/\G\{/gc) {
        die "depth\n" if ++$depth > $MAX_DEPTH;
        my %object;
        /\G[ \t\r\n]+/gc;
        return \%object if /\G\}/gc;
        while (1) {
            /\G[ \t\r\n]*"/gc or _fail();
            my $key = _string($lax);
            /\G[ \t\r\n]*:/gc or _fail();
            $object{$key} = _value($depth, $lax);
            next if /\G[ \t\r\n]*,/gc;
            last if /\G[ \t\r\n]*\}/gc;
            _fail();
        }
        return \%object;
    }
    if (/\G\[/gc) {
        die "depth\n" if ++$depth > $MAX_DEPTH;
        my @list;
        /\G[ \t\r\n]+/gc;
        return \@list if /\G\]/gc;
        while (1) {
            push @list, _value($depth, $lax);
            next if /\G[ \t\r\n]*,/gc;
            last if /\G[ \t\r\n]*\]/gc;
            _fail();
        }
        return \@list;
    }
    return 0 + $1 if /\G(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)/gc;
    return !!1    if /\Gtrue/gc;
    return !!0    if /\Gfalse/gc;
    return undef  if /\Gnull/gc;
    _fail();
}

my %ESCAPE = ('"' => '"', '\\' => '\\', '/' => '/', b => "\b", f => "\f", n => "\n", r => "\r", t => "\t");

sub _string ($lax) {
    return $1 if /\G([^"\\\x00-\x1f]*+)"/gc;
    my $out = '';
    while (1) {
        /\G([^"\\\x00-\x1f]*+)/gc and $out .= $1;
        return $out if /\G"/gc;
        if (/\G\\(["\\\/bfnrt])/gc) { $out .= $ESCAPE{$1}; next }
        /\G\\u([0-9a-fA-F]{4})/gc or _fail();
        my $code = hex $1;
        if ($code >= 0xd800 && $code < 0xdc00 && /\G\\u([dD][c-fC-F][0-9a-fA-F]{2})/gc) {
            $code = 0x10000 + (($code - 0xd800) << 10) + (hex($1) - 0xdc00);
        }
        elsif ($code >= 0xd800 && $code < 0xe000) {
            die "syntax: lone surrogate at byte " . pos . "\n" if !$lax;
        }
        $out .= _utf8($code);
    }
}

sub _utf8 ($c) {
    return chr $c if $c < 0x80;
    return pack 'C2', 0xc0 | $c >> 6, 0x80 | $c & 0x3f if $c < 0x800;
    return pack 'C3', 0xe0 | $c >> 12, 0x80 | $c >> 6 & 0x3f, 0x80 | $c & 0x3f if $c < 0x10000;
    return pack 'C4', 0xf0 | $c >> 18, 0x80 | $c >> 12 & 0x3f, 0x80 | $c >> 6 & 0x3f, 0x80 | $c & 0x3f;
}

sub _fail { die 'syntax: at byte ' . (pos // 0) . "\n" }

# ascii: every non-ASCII character as a \u escape.
sub encode_json ($v, %opt) {
    return 'null' if !defined $v;
    if (my $ref = ref $v) {
        return $$v if $ref eq 'KiroSim::Json::Raw';
        return '[' . join(',', map { encode_json($_, %opt) } @$v) . ']' if $ref eq 'ARRAY';
        return '{' . join(',', map { _quote($_, $opt{ascii}) . ':' . encode_json($v->{$_}, %opt) } sort keys %$v) . '}';
    }
    return $v ? 'true' : 'false' if builtin::is_bool($v);
    return "$v" if builtin::created_as_number($v) && $v !~ /[a-z]/i;
    return _quote($v, $opt{ascii});
}

my %QUOTE = ('"' => '\\"', '\\' => '\\\\', "\n" => '\\n', "\r" => '\\r', "\t" => '\\t');

sub _quote ($s, $ascii) {
    $s =~ s/(["\\\x00-\x1f\x7f])/$QUOTE{$1} \/\/ sprintf '\\u%04x', ord $1/ge;
    $s =~ s/\xed([\xa0-\xbf])([\x80-\xbf])/sprintf '\\u%04x', 0xd000 | (ord($1) & 0x3f) << 6 | ord($2) & 0x3f/ge;
    if ($ascii) {
        $s =~ s/([\xc0-\xdf])(.)/sprintf '\\u%04x', (ord($1) & 0x1f) << 6 | ord($2) & 0x3f/ges;
        $s =~ s/([\xe0-\xef])(.)(.)/sprintf '\\u%04x', (ord($1) & 0x0f) << 12 | (ord($2) & 0x3f) << 6 | ord($3) & 0x3f/ges;
        $s =~ s/([\xf0-\xf7])(.)(.)(.)/_pair(map { ord } $1, $2, $3, $4)/ges;
    }
    return qq("$s");
}

sub _pair ($a, $b, $c, $d) {
    my $code = (($a & 7) << 18 | ($b & 0x3f) << 12 | ($c & 0x3f) << 6 | $d & 0x3f) - 0x10000;
    return sprintf '\\u%04x\\u%04x', 0xd800 | $code >> 10, 0xdc00 | $code & 0x3ff;
}

1;
