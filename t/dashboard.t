use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;
use Test::Kiro::Metrics;

# docs/grafana-dashboard.json and docs/prometheus-rules.yml use metrics, labels and values that kiro_metrics has, and
# the board shows each metric.

my $root = Test::Kiro::root();
my $t = Test::Kiro->new(
    allow => qr/"spent": its quota is used up/,
    login => 'credentials_file', location => 'kiro_retries 1;', account => 'quota_retry off; cool_down off; kiro_concurrency 1;',
    http => 'kiro_account spent { api_key_file %%API_KEY_FILE%%; endpoint %%SCHEME%%://kiro_runtime; ssl_trusted_certificate %%CA%%; ssl_name localhost; }',
    server => 'location = /metrics { kiro_metrics; access_log off; }'
        . ' location /fall/ { kiro_pass main; kiro_retries 0; kiro_fallback @page; } location @page { return 200 ok; } location /spent/ { kiro_pass spent; }',
)->start;

# Something of everything.
$t->run(30, map { $t->openai_x(scripted('500', 'ok')) } 1 .. 2);
$t->run(30, $t->openai_x(scripted('500'), path => '/fall/chat/completions'), $t->openai_x(scripted('500', '500'), stream => 1));
my %counts = (tokenUsage => { uncachedInputTokens => 900, cacheReadInputTokens => 70, cacheWriteInputTokens => 30, outputTokens => 35, totalTokens => 1035 });
$t->run(30, $t->openai_x(scripted({ reasoning => { text => 'I think.' }, words => 3, metadata => \%counts })), $t->openai_x(scripted('quota'), path => '/spent/chat/completions'));
$t->get('/v1/usage');
$t->sim(POST => 'tokens', { expire => JSON::PP::true });
$t->run(30, $t->openai_x(scripted({ words => 3, credits => 1 })));
Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { $t->get('/metrics')->{body} =~ /^kiro_open_requests 0$/m });
my $text = $t->get('/metrics')->{body};
my ($m) = Test::Kiro::Metrics::read($text);

my %type = $text =~ /^# TYPE (\w+) (\w+)$/mg;
my (%exists, %labels);
for my $family (keys %type) {
    for my $name ($type{$family} eq 'histogram' ? map { "${family}_$_" } qw(bucket sum count) : $family) {
        $exists{$name} = $family;
        $labels{$name}{$_} = 1 for map { keys %{ Test::Kiro::Metrics::labels($_) } } keys %{ $m->{$name} // {} };
        $labels{$name}{$_} = 1 for qw(job instance);
    }
}
cmp_ok(scalar keys %type, '>', 25, 'families of metrics');

# Values that labels may have.
my $names = Test::Kiro::slurp("$root/src/core/failure.cpp");
my %value = (
    error  => [ 'client_closed', $names =~ /Name\{KIRO_FAIL_\w+, "(\w+)"\}/g ],
    state  => [ map { Test::Kiro::Metrics::labels($_)->{state} } keys %{ $m->{kiro_account_state} } ],
    result => [ map { Test::Kiro::Metrics::labels($_)->{result} } keys %{ $m->{kiro_refreshes_total} } ],
);
cmp_ok(scalar @{ $value{$_} }, '>=', 3, "values of $_") for sort keys %value;

# What is wrong with an expression, and which families it shows.
sub look {
    my ($expr) = @_;
    my (@wrong, %shown);
    my %known = %exists;
    my $bare = $expr =~ s/"(?:[^"\\]|\\.)*"/""/gr;
    for my $name ($bare =~ /\b((?:kiro|gen_ai)_\w+)\b(?=\s*[\{\[)=]|\s*(?:[-+*\/<>]|$))/g) {
        next if $name =~ /^gen_ai_(?:request_model|operation_name|provider_name|token_type)$/;
        push @wrong, "no metric $name" if !$known{$name};
        $shown{ $known{$name} // $name } = 1;
    }
    push @wrong, 'no metric' if !%shown;
    while ($expr =~ /\b((?:kiro|gen_ai)_\w+)\{((?:[^"{}]|"[^"]*")*)\}/g) {
        my ($name, $in) = ($1, $2);
        while ($in =~ /(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"/g) {
            my ($label, $match) = ($1, $2);
            push @wrong, "$name has no label $label" if $known{$name} && !$labels{$name}{$label};
            next if !$value{$label} || $match =~ /^\$/;
            for my $part (split /\|/, $match) {
                push @wrong, "no $label matches $part" if !grep { /^(?:$part)$/ } @{ $value{$label} };
            }
        }
    }
    my %any = map { my $n = $_; map { $_ => 1 } keys %{ $labels{$n} } } grep { $shown{ $exists{$_} } } keys %exists;
    for my $by ($expr =~ /\b(?:by|on)\s*\(([^)]*)\)/g) {
        push @wrong, map { "no label $_" } grep { !$any{$_} } split /\s*,\s*/, $by;
    }
    return (\%shown, @wrong);
}

is_deeply([ (look('sum(kiro_nonsense{account="x"})'))[1] ], ['no metric kiro_nonsense'], 'a metric that is none is found');
is_deeply([ (look('sum by (colour) (kiro_open_streams)'))[1] ], ['no label colour'], 'so is a label');
is_deeply([ (look('kiro_account_state{state="happy"}'))[1] ], ['no state matches happy'], 'and a value');

# --- the board ----------------------------------------------------------------------------------------------------------

my $board = eval { json(Test::Kiro::slurp("$root/docs/grafana-dashboard.json")) };
is(ref $board, 'HASH', 'the board is JSON') or diag $@;
my ($source) = grep { $_->{type} eq 'datasource' } @{ $board->{templating}{list} };
is($source->{name}, 'datasource', 'its source of data is a variable');
my %variable = map { $_->{name} => 1 } @{ $board->{templating}{list} };

my (%shown, %id, @exprs);
for my $panel (@{ $board->{panels} }) {
    my $title = $panel->{title};
    ok(!$id{ $panel->{id} }++, "$title: an id of its own");
    next if $panel->{type} eq 'row';
    ok(length $panel->{description}, "$title: says what it is");
    cmp_ok($panel->{gridPos}{x} + $panel->{gridPos}{w}, '<=', 24, "$title: fits");
    for my $target (@{ $panel->{targets} }) {
        my ($families, @wrong) = look($target->{expr});
        is_deeply(\@wrong, [], "$title: what it shows exists") or diag $target->{expr};
        is($_->{datasource}{uid}, '${datasource}', "$title: its source") for $panel, $target;
        my @unknown = grep { !$variable{$_} && !/^__(?:rate_interval|range|interval)$/ } $target->{expr} =~ /\$\{?(\w+)/g;
        is_deeply(\@unknown, [], "$title: its variables");
        $shown{$_} = 1 for keys %$families;
        push @exprs, $target->{expr};
    }
}
is_deeply([ grep { !$shown{$_} } sort keys %type ], [], 'each metric is on the board');
for my $variable (grep { $_->{type} eq 'query' } @{ $board->{templating}{list} }) {
    my ($selector, $label) = $variable->{definition} =~ /^label_values\((.*), (\w+)\)$/;
    my ($families, @wrong) = look($selector);
    is_deeply(\@wrong, [], "$variable->{name}: its metric exists");
    my ($name) = $selector =~ /^(\w+)/;
    ok($labels{$name}{$label}, "$variable->{name}: its label, too");
}

# --- the alerts ---------------------------------------------------------------------------------------------------------

my $rules = Test::Kiro::slurp("$root/docs/prometheus-rules.yml");
my %rule;
while ($rules =~ /^      - alert: (\w+)\n        expr: (?:>-\n((?: {10}.*\n)+)|(.*)\n)/mg) {
    my ($name, $expr) = ($1, $2 // $3);
    ok(!$rule{$name}, "$name: one rule");
    $rule{$name} = $expr =~ s/\s+/ /gr;
    my ($families, @wrong) = look($rule{$name});
    is_deeply(\@wrong, [], "$name: what it looks at exists") or diag $rule{$name};
}
is(scalar keys %rule, scalar(() = $rules =~ /- alert:/g), 'all rules were read');
cmp_ok(scalar keys %rule, '>', 8, 'there are some');

SKIP: {
    my ($promtool) = grep { -x } map { "$_/promtool" } split /:/, $ENV{PATH};
    skip 'there is no promtool', 2 if !$promtool;
    my $out = qx{$promtool check rules '$root/docs/prometheus-rules.yml' 2>&1};
    is($?, 0, 'promtool takes the rules') or diag $out;
    my $n = 0;
    my $file = Test::Kiro::spew("$t->{dir}/board.yml", join '', "groups:\n  - name: board\n    rules:\n", map {
        my $expr = s/\$__rate_interval/5m/gr =~ s/\$__range/6h/gr =~ s/\$\w+/.*/gr;
        "      - record: board:" . ++$n . "\n        expr: '" . $expr =~ s/'/''/gr . "'\n"
    } @exprs);
    $out = qx{$promtool check rules '$file' 2>&1};
    is($?, 0, 'promtool takes the expressions of the board') or diag $out;
}

$t->done;
