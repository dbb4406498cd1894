use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::MD5 qw(md5_hex);
use Test::More;
use Test::Kiro;

# Bodies that nginx keeps in a temporary file, that arrive in small pieces, in
# chunks, or after a 100 Continue.

my $t = Test::Kiro->new(location => 'client_body_buffer_size 8k;')->start;

my $line = join '', 'a' .. 'z', 0 .. 9, ' "\\ ', "\n";
for my $size (7_000, 9_000, 100_000, 800_000) {
    my @history;
    my $n = 0;
    for (my $left = $size; $left > 0; $left -= 50_000) {
        my $text = substr $line x 2000, 0, $left > 50_000 ? 50_000 : $left;
        push @history, { role => 'user', content => "$n $text" }, { role => 'assistant', content => 'ok ' . $n++ };
    }
    my $body = json($t->openai_body([ @history, { role => 'user', content => 'hello' } ]));
    for my $way (qw(whole chunked expect)) {
        $t->sim(POST => 'reset');
        my $r;
        if ($way eq 'chunked') {
            my $data = join '', map { sprintf "%x\r\n%s\r\n", length, $_ } unpack '(a3001)*', $body;
            $r = $t->post('/v1/chat/completions', "${data}0\r\n\r\n", headers => [ 'Transfer-Encoding' => 'chunked' ]);
        }
        else {
            $r = $t->post('/v1/chat/completions', $body, headers => [ $way eq 'expect' ? (Expect => '100-continue') : () ]);
        }
        $t->openai_object($r, "$size bytes, $way");
        my ($seen) = $t->seen;
        my $sent = join '', map { $_->{userInputMessage} ? $_->{userInputMessage}{content} : () }
            @{ $seen->{body}{conversationState}{history} };
        is(md5_hex($sent), md5_hex(join '', map { $_->{role} eq 'user' ? $_->{content} : () } @history),
            "$size bytes, $way: every byte arrived");
    }
}

# A slow client.
my $body = json($t->openai_body('x' x 3000));
my $x = $t->exchange('POST', '/v1/chat/completions', $body);
my $all = $x->{out};
$x->{out} = '';
for my $piece (unpack '(a400)*', $all) { $x->connect unless $x->{socket}; $x->{out} .= $piece; $t->turn(0.06, $x) }
$t->run(10, $x);
$t->openai_object($x, 'a slow client');

# A big tool result and retries: the body goes up again, byte for byte.
$t->sim(POST => 'reset');
my @m = (
    { role => 'user', content => 'look' },
    { role => 'assistant', content => undef, tool_calls => [ { id => 'call_1', type => 'function', function => { name => 'look', arguments => '{}' } } ] },
    { role => 'tool', tool_call_id => 'call_1', content => 'y' x 300_000 },
    { role => 'user', content => scripted('503', 'drop', '500', 'ok') },
);
$t->openai_object($t->openai([@m], body => { tools => [ { type => 'function', function => { name => 'look', parameters => { type => 'object' } } } ] }),
    'four attempts with a big body');
my %bodies = map { json($_->{body}) => 1 } $t->seen;
is(keys %bodies, 1, 'the same body every time');

$t->done;
