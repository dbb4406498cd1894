use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro::Load;

# Clients that leave, by FIN, by RST and by cancelling an HTTP/2 stream: in the stream, before its first token,
# while a tool call is held back, while nginx waits for them to read. The upstream hears of each one.

my $tool = Test::Kiro::Load::binary() or plan skip_all => 'kiro_load is not built: ./dev test builds it';

my $l = Test::Kiro::Load->new(workers => 2)->start;
my $count = $ENV{TEST_KIRO_LEAVERS} // 10;

for my $api (qw(openai anthropic responses)) {
    my @row = qx{$tool leave --url http://127.0.0.1:$l->{port}/v1/ --h2 $l->{h2_port} --upstream $l->{upstream_port} --dialect $api --count $count --at-once 5};
    note $api, "\n", @row;
    is($?, 0, "$api: the upstream connection of each one was closed");
    is(scalar @row, 1 + 4 * 3, "$api: all kinds were tried") or diag @row;
}
is($l->state->{streams}, 0, 'no stream is open upstream');
$l->result($l->client(streams => 5, tokens => 20))->{broken} == 0 or fail 'the next clients are served';

$l->done;
