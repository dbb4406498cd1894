use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# First token and idle apart: any frame is life, whether a client sees anything of it or not, and pings to the
# client prolong nothing.

my $yes = JSON::PP::true;
my $scale = Test::Kiro::patience();
my ($first, $idle) = map { $_ * $scale . 'ms' } 1600, 1700;
my $t = Test::Kiro->new(
    location => "kiro_first_token_timeout $first; kiro_read_timeout $idle; kiro_early_headers 300ms; kiro_ping_interval 150ms;",
    server   => <<"EOT",
        location /long/v1/ { kiro_pass main; kiro_first_token_timeout $first; kiro_read_timeout 30s; kiro_early_headers off; kiro_thinking off; }
        location /off/v1/  { kiro_pass main; kiro_first_token_timeout off; kiro_max_response_size 0; kiro_read_timeout 30s; kiro_early_headers off; kiro_retries 0; }
        location /idle/v1/ { kiro_pass main; kiro_first_token_timeout 30s; kiro_read_timeout 700ms; kiro_early_headers 200ms; kiro_ping_interval 100ms; kiro_retries 1; }
EOT
)->start;

my %api = (
    openai    => [ sub { $t->openai_x(@_) },    sub { $t->openai_stream(@_) },    sub { $t->openai_object(@_) }, 'chat/completions' ],
    anthropic => [ sub { $t->anthropic_x(@_) }, sub { $t->anthropic_stream(@_) }, sub { $t->anthropic_object(@_) }, 'messages' ],
    responses => [ sub { $t->responses_x(@_) }, sub { $t->responses_stream(@_) }, sub { $t->responses_object(@_) }, 'responses' ],
);
my %schema = (type => 'object', properties => { text => { type => 'string' } });
my %tools = (
    openai    => { type => 'function', function => { name => 'write', parameters => \%schema } },
    anthropic => { name => 'write', input_schema => \%schema },
    responses => { type => 'function', name => 'write', parameters => \%schema },
);
my $call = { name => 'write', input => { text => 'x' x 300 }, split => 12 };
my @slow = (gap_ms => 200 * $scale);

# All at once: (name, stream, plan, path, check(result, exchange)).
my @cases;
for my $api (sort keys %api) {
    for my $stream (1, 0) {
        my $way = "$api, " . ($stream ? 'streamed' : 'collected');
        my $comments = sub { my ($s) = @_; ($s->{comments} // 0) + ($s->{pings} // 0) };
        push @cases,
            [ $way, 'a long call and nothing before it', $api, $stream, '/v1', { tools => [$call], @slow }, sub {
                my ($s) = @_;
                is_deeply([ map { $_->{input}{text} } @{ $s->{tools} } ], [ 'x' x 300 ], 'the call');
                cmp_ok($comments->($s), '>=', 5, 'comments while it came') if $stream;
            } ],
            [ $way, 'a long call behind a text', $api, $stream, '/v1', { text => 'Hm.', tools => [$call], @slow }, sub {
                my ($s) = @_;
                is("$s->{text} " . @{ $s->{tools} }, 'Hm. 1', 'text and call');
                cmp_ok($comments->($s), '>=', 5, 'pings while it came') if $stream;
            } ],
            [ $way, 'reasoning that is not shown', $api, $stream, '/long/v1',
                { reasoning => { text => 'abcdefghij' x 3 }, text => 'Done', piece => 2, @slow }, sub {
                my ($s) = @_;
                is("$s->{text}|" . ($s->{reasoning} // $s->{thinking} // ''), 'Done|', 'only the text');
            } ],
            [ $way, 'no limit for the first token', $api, $stream, '/off/v1', { text => 'Late', delay_ms => 2500 * $scale }, sub { is($_[0]{text}, 'Late', 'the text') } ],
            [ $way, 'empty texts', $api, $stream, '/v1',
                { events => [ map({ { type => 'assistantResponseEvent', payload => { content => '' } } } 1 .. 10),
                    { type => 'assistantResponseEvent', payload => { content => 'Done' } } ], @slow }, sub { is($_[0]{text}, 'Done', 'the text') } ],
            [ $way, 'a frame without content, then a wait', $api, $stream, '/long/v1',
                { events => [ { type => 'messageMetadataEvent', payload => { conversationId => 'c', utteranceId => 'u' } },
                    { type => 'assistantResponseEvent', payload => { content => 'Done' } } ], silence_ms => 2200 * $scale, silence_at => 2 },
                sub { is($_[0]{text}, 'Done', 'the text') } ],
            [ $way, 'silence after content', $api, $stream, '/long/v1',
                { text => 'One two three', silence_ms => 2200 * $scale, silence_at => 2 }, sub { is($_[0]{text}, 'One two three', 'the text') } ];
    }
    # A part of a call, then nothing: idle, although comments go out all the time.
    push @cases, [ "$api, streamed", 'half a call', $api, 1, '/idle/v1', { tools => [$call], cut => { events => 3, mode => 'hang' } },
        sub { ok($_[0]{error}, 'an error') }, 2 ];
}

$_->[8] = $api{ $_->[2] }[0]->(scripted($_->[5]), stream => $_->[3], path => "$_->[4]/$api{ $_->[2] }[3]",
    body => { tools => [ $tools{ $_->[2] } ] }) for @cases;
my @wait = map { $_->[8] } @cases;
$t->run(60, splice @wait, 0, 20) while @wait; # not all handshakes at once
for (@cases) {
    my ($way, $what, $api, $stream, undef, undef, $check, undef, $x) = @$_;
    $check->($api{$api}[ $stream ? 1 : 2 ]->($x, "$way, $what"), $x);
}
my @log = $t->access(scalar @cases);
is_deeply([ map { $_->{attempts} } grep { $_->{uri} !~ /idle/ } @log ], [ map { 1 } grep { $_->[4] !~ /idle/ } @cases ], 'none was tried again')
    or diag(join "\n", $t->grep_log(qr/attempt \d+ failed|timed out/));
is_deeply([ map { "$_->{attempts} $_->{error}" } grep { $_->{uri} =~ /idle/ } @log ], [ ('2 upstream_timeout') x 3 ], 'but for the dead ones');

$t->done;
