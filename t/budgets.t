use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# kiro_budget: tokens and credits of a period, by any variable.

my $t = Test::Kiro->new(
    workers => 2, location => 'kiro_budget zone=who tokens=1m/day tokens=5m/hour;',
    http => <<'EOT',
    kiro_budget_zone $http_x_who zone=who:256k;
    kiro_budget_zone $http_x_team zone=team:256k;
EOT
    server => <<'EOT',
        location = /metrics { kiro_metrics; access_log off; }
        location /small/  { kiro_pass main; kiro_budget zone=who tokens=3000/day; }
        location /many/   { kiro_pass main; kiro_budget zone=who tokens=20k/day; }
        location /money/  { kiro_pass main; kiro_budget zone=team credits=1.5/day; kiro_budget zone=who tokens=1m/day; }
        location /leave/  { kiro_pass main; kiro_budget zone=team credits=1/day; }
        location /fall/   { kiro_pass main; kiro_retries 0; kiro_budget zone=who tokens=1m/day; kiro_fallback @again; }
        location @again   { kiro_pass main; kiro_budget zone=who tokens=1m/day; }
        location /both/   { kiro_pass main; kiro_budget zone=team credits=5/day; kiro_budget zone=who tokens=1/day; }
EOT
)->start;

my $day = 86400;
sub who { return (headers => [ 'X-Who' => $_[0], @_ > 1 ? ('X-Team' => $_[1]) : () ]) }

# An answer, when what it used is counted: that is behind its last byte. $open others run.
my $open = 0;

sub asked {
    my ($make, @o) = @_;
    my $r = $t->$make(@o);
    Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { $t->get('/metrics')->{body} =~ /^kiro_open_requests (\d+)/m && $1 <= $open })
        or fail('a request does not end');
    return $r;
}

# Not in the last moments of a day: the counts would begin anew.
sleep 1 while $day - time % $day < 30;

# --- settled to the last token ---------------------------------------------

my $used = 0;
for my $n (1 .. 4) {
    my $r = asked(openai => scripted({ words => 10 * $n }), who('alice'));
    is($r->{status}, 200, "request $n");
    is($r->header('x-ratelimit-limit-tokens'), 1_000_000, 'the limit that is nearest');
    is($r->header('x-ratelimit-remaining-tokens'), 1_000_000 - $used, 'what is left before this one');
    like($r->header('x-ratelimit-reset-tokens'), qr/^(?:\d+[hms])+$/, 'until when');
    my $usage = json($r->{body})->{usage};
    $used += $usage->{prompt_tokens} + $usage->{completion_tokens};
}
my $r = asked(anthropic => scripted({ words => 5 }), who('alice'), stream => 1);
is($r->header('anthropic-ratelimit-tokens-remaining'), 1_000_000 - $used, 'anthropic: a stream is told as well');
is($r->header('anthropic-ratelimit-tokens-limit'), 1_000_000, 'the limit');
like($r->header('anthropic-ratelimit-tokens-reset'), qr/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, 'until when');
$used += $t->last_access(5)->{$_} for qw(input output);

is(asked(openai => scripted({ words => 5 }), who('bob'))->header('x-ratelimit-remaining-tokens'), 1_000_000, 'others have their own');
is(asked(openai => scripted({ words => 5 }))->header('x-ratelimit-remaining-tokens'), undef, 'without a name there is no budget');

$t->error_shape(asked(openai => scripted(('500') x 5), who('alice')), 'openai', 502, 'a request that fails');
$r = asked(openai => scripted({ words => 1 }), who('alice'));
is($r->header('x-ratelimit-remaining-tokens'), 1_000_000 - $used, 'it used nothing');
$used += $_->{prompt_tokens} + $_->{completion_tokens} for json($r->{body})->{usage};

is($t->post('/v1/chat/completions', '{', who('alice'))->{status}, 400, 'a bad request');
$t->reload;
$r = asked(openai => scripted({ words => 1 }), who('alice'));
is($r->header('x-ratelimit-remaining-tokens'), 1_000_000 - $used, 'a reload keeps the counts');

# --- spent -----------------------------------------------------------------

my $n = 0;
while (++$n < 50) {
    $r = asked(openai => scripted({ words => 200 }), who('carol'), path => '/small/chat/completions');
    last if $r->{status} != 200;
}
cmp_ok($n, '>', 3, 'some were served');
cmp_ok($n, '<', 20, 'not all');
for my $case ([ openai => $r ], [ anthropic => asked(anthropic => 'x', who('carol'), path => '/small/messages') ],
    [ responses => asked(responses => 'x', who('carol'), path => '/small/responses', stream => 1) ])
{
    my ($api, $got) = @$case;
    my $body = $t->error_shape($got, $api, 429, "$api: spent");
    like($got->{body}, qr/the budget of 3000 tokens per day is spent; the next day begins in \d+ s/, "$api: why");
    cmp_ok($got->header('retry-after'), '<=', $day, "$api: when it begins anew");
    cmp_ok($got->header('retry-after'), '>', 0, "$api: later");
    is($got->header('x-should-retry'), 'false', "$api: no use to wait");
    my $header = $api eq 'anthropic' ? 'anthropic-ratelimit-tokens-remaining' : 'x-ratelimit-remaining-tokens';
    is($got->header($header), 0, "$api: nothing is left");
}
is(($t->access)[-1]{error}, 'budget', '$kiro_error');
is(asked(openai => 'x', who('dave'), path => '/small/chat/completions')->{status}, 200, 'others are served');
is($t->post('/small/messages/count_tokens', { model => 'claude-sonnet-4.5', messages => [ { role => 'user', content => 'x' } ] }, who('carol'))->{status}, 200,
    'count_tokens uses nothing');
my $before = $t->stats->{generate};
asked(openai => 'x', who('carol'), path => '/small/chat/completions');
is($t->stats->{generate}, $before, 'a request that is refused does not reach the service');

# --- credits, two zones ----------------------------------------------------

$n = 0;
while (++$n < 20) {
    $r = asked(openai => scripted({ words => 2, credits => 0.5 }), who("eve$n", 'red'), path => '/money/chat/completions');
    last if $r->{status} != 200;
}
is($n, 4, 'three requests at half a credit');
like($r->{body}, qr/the budget of 1\.50 credits per day is spent/, 'what is spent');
is(asked(openai => scripted({ words => 2 }), who('eve', 'blue'), path => '/money/chat/completions')->{status}, 200, 'another team');

asked(openai => 'x', who('frank', 'green'), path => '/both/chat/completions');
asked(openai => 'x', who('frank', 'green'), path => '/both/chat/completions') for 1 .. 300;
is(asked(openai => 'x', who('gina', 'green'), path => '/both/chat/completions')->{status}, 200, 'what one zone refuses is given back to the other');

# --- many at once ----------------------------------------------------------

my @x = map { $t->openai_x(scripted({ words => 100, first_ms => 100 }), who('heidi'), path => '/many/chat/completions') } 1 .. 200;
$t->run(60, @x);
my %status;
$status{ $_->{status} }++ for @x;
is_deeply([ sort keys %status ], [ 200, 429 ], '200 at once: served or refused');
my ($sum, $most) = (0, 0);
for (grep { $_->{status} == 200 } @x) {
    my $usage = json($_->{body})->{usage};
    my $tokens = $usage->{prompt_tokens} + $usage->{completion_tokens};
    $sum += $tokens;
    $most = $tokens if $tokens > $most;
}
cmp_ok($sum, '<=', 20_000 + $most, 'not more than one request above the budget');
cmp_ok($status{200}, '>', 5, 'some were served');
$r = asked(openai => scripted({ words => 1 }), who('heidi'), path => '/many/chat/completions');
is($r->header('x-ratelimit-remaining-tokens'), $sum < 20_000 ? 20_000 - $sum : 0, 'all was settled');

# A client that leaves: what it took by estimate is put right.
my $x = $t->openai_x(scripted({ words => 5, first_ms => 20_000 }), who('ivan'), stream => 1);
$t->turn(0.4, $x);
$open = 1;
cmp_ok(asked(openai => scripted({ words => 1 }), who('ivan'))->header('x-ratelimit-remaining-tokens'), '<=', 1_000_000 - 1000, 'taken');
undef $x;
$open = 0;
ok(Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub {
    asked(openai => scripted({ words => 1 }), who('ivan'))->header('x-ratelimit-remaining-tokens') > 1_000_000 - 900
}), 'given back when the client has left');

# One that leaves in the middle of answers: their price is not known yet, but they are not free.
my @left = map { $t->openai_x(scripted({ words => 200, gap_ms => 100 }), who("kate$_", 'pink'), stream => 1, path => '/leave/chat/completions') } 1 .. 10;
for my $x (@left) {
    Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { $t->turn(0.05, $x); ($x->{body} // '') =~ /word2/ });
}
$_->leave for @left;
ok(Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { 10 == grep { $_->{uri} =~ m{^/leave/} } $t->access }), 'ten clients leave');
$t->error_shape(asked(openai => 'x', who('kate', 'pink'), path => '/leave/chat/completions'), 'openai', 429, 'the credits are spent');

# A request that falls back has what one location has taken, not both.
$x = $t->openai_x(scripted(['500', { words => 5, first_ms => 20_000 }]), who('judy'), stream => 1, path => '/fall/chat/completions');
$t->turn(0.1, $x) for 1 .. 5;
ok(Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { scalar $t->grep_log(qr/falls back to "\@again"/) }), 'a request falls back');
$t->turn(0.4, $x);
$open = 1;
my $left = asked(openai => scripted({ words => 1 }), who('judy'))->header('x-ratelimit-remaining-tokens');
cmp_ok($left, '<=', 1_000_000 - 1000, 'the second location has taken its estimate');
cmp_ok($left, '>', 1_000_000 - 1900, 'the first has given its own back');
undef $x;
$open = 0;

# A key that is the client's secret.
$t->secret('budget-key-SECRET');
asked(openai => 'x', who('budget-key-SECRET', 'grey'), path => '/both/chat/completions') for 1 .. 2;
ok(scalar $t->grep_log(qr/the budget of 1 tokens per day is spent, zone "who", client ""/), 'the log does not show keys');

# --- a zone that is full ---------------------------------------------------

asked(openai => 'x', who(sprintf '%s%05d', 'k' x 3000, $_)) for 1 .. 80;
$r = asked(openai => 'x', who('z' x 3000));
$t->error_shape($r, 'openai', 503, 'no room for another key');
ok(scalar $t->grep_log(qr/kiro_budget_zone "who" has no room/), 'and said so');
$t->stop;

for my $bad (
    [ 'kiro_budget_zone $a;'                               => qr/invalid number of arguments/ ],
    [ 'kiro_budget_zone $host size=1m;'                    => qr/needs "zone=name:size"/ ],
    [ 'kiro_budget_zone $host zone=a:1k;'                  => qr/is too small/ ],
    [ 'kiro_budget_zone $host zone=a:x;'                   => qr/invalid zone size/ ],
    [ 'kiro_budget zone=no tokens=1/day;'                  => qr/zero size shared memory zone "no"/ ],
    [ map({ ("kiro_budget_zone \$host zone=a:1m; kiro_budget zone=a $_;" => qr/is no limit, it must have the form/) } 'tokens=1/week') ],
    [ 'kiro_budget_zone $host zone=a:1m; kiro_budget zone=a tokens=0/day;'   => qr/is no limit/ ],
    [ 'kiro_budget_zone $host zone=a:1m; kiro_budget zone=a tokens=x/day;'   => qr/is no limit/ ],
    [ 'kiro_budget_zone $host zone=a:1m; kiro_budget zone=a credits=1;'      => qr/is no limit/ ],
    [ 'kiro_budget_zone $host zone=a:1m; kiro_budget tokens=1/day zone=a;'   => qr/needs "zone=name" first/ ],
    [ 'kiro_budget_zone $host zone=a:1m; kiro_budget_zone $uri zone=a:1m;'   => qr/already in use|already bound/ ],
    [ 'kiro_zone same:1m; kiro_budget_zone $host zone=same:1m;'              => qr/already declared for a different use/ ],
    [ 'kiro_zone same:1m; server { kiro_budget zone=same tokens=1/day; }'    => qr/already declared for a different use/ ],
) {
    my ($conf, $like) = @$bad;
    my $bad = Test::Kiro->new(sim => 0, conf => "$conf server { }", allow => qr/emerg/);
    my ($status, $out) = $bad->test_config;
    isnt($status, 0, "refused: $conf");
    like($out, $like, 'and said why');
}

done_testing;
