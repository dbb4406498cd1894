use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# The models of an account: what clients are told, what requests make of it, and
# what becomes of it when the management host fails.

my @version = ('anthropic-version' => '2023-06-01');

my %nova = (
    modelId => 'org/Nova-9:50%', modelName => 'Nova 9', description => 'New here.', futureMember => [ { a => undef } ],
    rateMultiplier => 1.5, supportedInputTypes => ['TEXT'], tokenLimits => { maxInputTokens => 512_000, maxOutputTokens => 96_000 },
    additionalModelRequestFieldsSchema => {
        type => 'object', additionalProperties => JSON::PP::false,
        properties => { reasoning => { type => 'object', properties => {
            effort => { type => 'string', enum => [qw(low medium)], default => 'low' } } } },
    },
);

sub listed {
    my ($t, $path) = @_;
    my $r = $t->get($path // '/v1/models');
    $t->ok_response($r, 200, qr{^application/json}, $path // '/v1/models');
    return map { $_->{id} => $_ } @{ json($r->{body})->{data} };
}

sub sim_with {
    my ($models, %o) = @_;
    my $t = Test::Kiro->new(%o);
    $t->start_sim;
    $t->sim(POST => 'models', $models) if $models;
    return $t->start_nginx;
}

sub built_in { my ($t) = @_; my %list = listed($t); return !$list{'org/Nova-9:50%'} }

# --- what clients are told

{
    my $t = sim_with({ add => [ \%nova ], remove => ['glm-5'], page => 7 }, login => 'credentials_file', location => <<'EOT');
        kiro_model_alias gpt-4o claude-sonnet-4.5;
        kiro_model_alias team/best org/nova-9:50%;
        kiro_unknown_model refuse;
EOT
    my %list = listed($t);
    my $stats = $t->stats;
    is($stats->{models}, 4, 'four pages, once');
    my @asked = @{ $t->sim(GET => 'log?op=models') };
    is($asked[0]{headers}{'x-amz-target'}, 'KiroControlPlaneBearerService.ListAvailableModels', 'the target');
    is($asked[0]{body}{profileArn}, $t->{simulator}{profile_arn}, 'the profile ARN');
    like($asked[0]{headers}{'user-agent'}, qr/^ngx_kiro/, 'the user agent');

    my $nova = $list{ $nova{modelId} };
    is($nova->{context_length}, 512_000, 'the window of a model that only the live list has');
    is($nova->{max_output_tokens}, 96_000, 'its output limit');
    is_deeply($nova->{input_modalities}, ['text'], 'what it takes');
    is_deeply($nova->{reasoning_efforts}, [qw(low medium)], 'its efforts');
    is($nova->{name}, 'Nova 9', 'its name');
    is($nova->{object}, 'model', 'object');
    ok(!$list{'glm-5'}, 'a model that the account lacks is not there');
    is($list{'gpt-4o'}{context_length}, 200_000, 'an alias, with the limits of its model');
    is($list{'team/best'}{name}, 'Nova 9', 'another');

    my $r = $t->get('/v1/models');
    my $all = json($r->{body});
    is($all->{object}, 'list', 'object');
    is_deeply($all->{models}, [], 'what Codex demands');
    ok(length $r->header('x-request-id'), 'a request id');

    # the other dialect
    $r = $t->get('/v1/models?limit=1000', headers => [@version]);
    $all = json($r->{body});
    my %anthropic = map { $_->{id} => $_ } @{ $all->{data} };
    is_deeply([ sort keys %anthropic ], [ sort keys %list ], 'Anthropic: the same models');
    is($anthropic{ $nova{modelId} }{max_input_tokens}, 512_000, 'max_input_tokens');
    is($anthropic{ $nova{modelId} }{max_tokens}, 96_000, 'max_tokens');
    is($anthropic{ $nova{modelId} }{display_name}, 'Nova 9', 'display_name');
    is($anthropic{ $nova{modelId} }{type}, 'model', 'type');
    is($all->{first_id}, $all->{data}[0]{id}, 'first_id');
    is($all->{last_id}, $all->{data}[-1]{id}, 'last_id');
    ok(!$all->{has_more}, 'has_more');
    ok(length $r->header('request-id'), 'its request id');

    # one model; the id has "/", ":" and "%"
    for my $id ('org/Nova-9:50%25', 'org%2FNova-9%3A50%25', 'ORG/nova-9:50%25', 'claude-sonnet-4-5-20250929', 'gpt-4o', 'team/best') {
        my $one = $t->get("/v1/models/$id");
        $t->ok_response($one, 200, qr{^application/json}, "models/$id");
        my $want = $id =~ /nova/i ? $nova{modelId} : $id =~ /claude/ ? 'claude-sonnet-4.5' : $id;
        is(json($one->{body})->{id}, $want, "models/$id: id");
        $one = json($t->get("/v1/models/$id", headers => [@version])->{body});
        is($one->{type}, 'model', "models/$id: Anthropic's shape");
        is($one->{id}, $want, "models/$id: Anthropic's id");
    }
    for my $id (qw(nobody glm-5 org/Nova-9 models)) {
        my $e = $t->error_shape($t->get("/v1/models/$id"), 'openai', 404, "models/$id");
        is($e->{code}, 'model_not_found', "models/$id: code");
        $e = $t->error_shape($t->get("/v1/models/$id", headers => [@version]), 'anthropic', 404, "models/$id");
        is($e->{type}, 'not_found_error', "models/$id: type");
    }
    for my $path ('/v1/models', '/v1/models/auto') {
        my $head = ($t->run($t->exchange('HEAD', $path)))[0];
        is($head->{status}, 200, "HEAD $path");
        is($head->{body}, '', 'without a body');
    }
    is(($t->run($t->exchange('POST', '/v1/models', '{}')))[0]{status}, 405, 'POST');
    is($t->stats->{models}, 4, 'still fetched once');

    # --- what requests make of it

    $t->openai_object($t->openai('models: nova', body => { model => 'org/nova-9:50%', reasoning_effort => 'high' }), 'a new model');
    my ($seen) = ($t->seen)[-1];
    is($seen->{body}{conversationState}{currentMessage}{userInputMessage}{modelId}, $nova{modelId}, "in the list's spelling");
    is_deeply($seen->{body}{additionalModelRequestFields}, { reasoning => { effort => 'medium' } }, 'with an effort that it takes');

    my $e = $t->error_shape($t->openai('models: typo', body => { model => 'claude-sonet-4.5' }), 'openai', 404, 'kiro_unknown_model refuse');
    is($e->{code}, 'model_not_found', 'code');
    like($e->{message}, qr/Did you mean 'claude-sonnet-4\.5'/, 'what was meant');
    $e = $t->error_shape($t->anthropic('models: typo', body => { model => 'glm-5' }), 'anthropic', 404, 'refused');
    is($e->{type}, 'not_found_error', 'type');
    is($t->stats->{generate}, 1, 'nothing of that went up');

    # --- a reload keeps it, another list comes with time only

    $t->sim(POST => 'models', { remove => [ $nova{modelId} ] });
    $t->reload;
    ok(!built_in($t), 'a reload keeps the list');
    is($t->stats->{models}, 4, 'and fetches nothing');
    $t->stop;
}

# --- keys are demanded

{
    my $t = sim_with(undef, key => 'sk-models-test');
    for my $path ('/v1/models', '/v1/models/auto') {
        $t->error_shape($t->get($path, headers => [ Authorization => 'Bearer wrong' ]), 'openai', 401, "$path with a wrong key");
        is($t->get($path)->{status}, 200, "$path with the key");
    }
    my ($asked) = @{ $t->sim(GET => 'log?op=models') };
    is($asked->{headers}{tokentype}, 'API_KEY', 'an API key says what it is');
    ok(!exists $asked->{body}{profileArn}, 'and has no profile ARN');
    $t->stop;
}

# --- many clients, two workers: one fetch, and requests do not wait for it

{
    my $t = sim_with({ add => [ \%nova ], plan => [ { hold => 'list' } ] }, location => 'kiro_unknown_model refuse;');
    $t->openai_object($t->openai('models: early'), 'a request while the list is on its way');
    my @clients = map { $t->exchange('GET', '/v1/models') } 1 .. 12;
    push @clients, $t->exchange('GET', '/v1/models', undef, abort => { after => 0.2 });
    $t->turn(0.5, @clients);
    is($t->stats->{held}{list}, 1, 'one request for the list');
    $t->sim(POST => 'release', { name => 'list' });
    $t->run(@clients);
    is(scalar(grep { ($_->{status} // 0) == 200 && $_->{body} =~ /Nova-9/ } @clients), 12, 'all who waited have it');
    is($t->stats->{models}, 1, 'one fetch');
    ok(!built_in($t), 'the list is there') for 1 .. 4;
    $t->stop;
}

# --- faults: the built-in models, or the list at hand

my %fault = (
    'an error'             => { status => 500 },
    'throttling'           => { status => 429 },
    'access denied'        => { status => 403, type => 'AccessDeniedException' },
    'a page of HTML'       => { html   => 1, status => 200 },
    'garbage'              => { raw_body => "\x00\x01{" },
    'no list'              => { raw_body => '{"models":null}' },
    'another form'         => { raw_body => '{"models":[1,[],{"modelName":"x"}]}' },
    'a redirect'           => { status => 301, raw_body => '' },
    'a cut connection'     => { drop   => 1 },
    'a reset'              => { rst    => 1 },
);
for my $name (sort keys %fault) {
    my $t = sim_with({ add => [ \%nova ], plan => [ ($fault{$name}) x 9 ] }, workers => 1);
    ok(built_in($t), "$name: the built-in models");
    is($t->stats->{models}, 1, "$name: and a pause");
    $t->openai_object($t->openai("models: $name"), "$name: requests are served");
    is(scalar($t->grep_log(qr/\[warn\].*"main": the model list could not be fetched from .*: .+; the built-in one is used, next try in \d+ ms/)), 1,
        "$name: the log says so once");
    $t->stop;
}

# What is listed oddly is taken as far as it goes; what was there stays.
{
    my $t = sim_with({
        add => [ { modelId => 'Bare-ONE' }, { modelId => 'Bare-TWO', tokenLimits => undef, modelName => undef, description => undef,
            rateMultiplier => undef, supportedInputTypes => undef, additionalModelRequestFieldsSchema => undef } ],
        default => undef,
    }, account => 'models_interval 300ms;', workers => 1);
    my %list = listed($t);
    is($list{'Bare-ONE'}{context_length}, 200_000, 'a model with nothing but an id');
    is($list{'Bare-TWO'}{name}, 'Bare-TWO', 'and one that is null everywhere');
    $t->openai_object($t->openai('models: bare', body => { model => 'bare-one' }), 'it can be used');
    $t->sim(POST => 'models', { plan => [ { status => 500 }, { html => 1, status => 200 }, { drop => 1 } ] });
    ok(Test::Kiro::wait_for(20, sub { my %now = listed($t); !$now{'Bare-ONE'} || $t->grep_log(qr/the last one stays in use/) >= 3 }),
        'three faults');
    my %now = listed($t);
    ok($now{'Bare-ONE'}, 'the old list stays');
    $t->sim(POST => 'models', { remove => ['Bare-ONE'], add => [ \%nova ] });
    ok(Test::Kiro::wait_for(20, sub { !built_in($t) }), 'and then the new one is there');
    %now = listed($t);
    ok(!$now{'Bare-ONE'}, 'without what is gone');
    $t->stop;
}

# --- a model that the service refuses although it listed it: the list is fetched once more

{
    my $t = sim_with({ add => [ \%nova ] }, workers => 1);
    ok(!built_in($t), 'the list');
    my ($id) = $nova{modelId};
    $t->sim(POST => 'models', { remove => [$id] });
    my %now = listed($t);
    ok($now{$id}, 'it is not asked for again');
    is($t->stats->{models}, 1, 'so far');
    for my $n (1 .. 5) {
        $t->error_shape($t->openai("models: refused $n", body => { model => $id }), 'openai', 404, 'the service refuses it');
        Test::Kiro::wait_for(10, sub { %now = listed($t); !$now{$id} });
    }
    ok(!$now{$id}, 'it left the list');
    cmp_ok($t->stats->{models}, '<=', 3, 'which is not asked for with each refusal');
    $t->stop;
}

# --- a deaf management host: GET models gives up waiting, nginx ends

{
    my $t = sim_with({ plan => [ { hang => 1 } ] }, workers => 1);
    ok(built_in($t), 'a deaf host: the built-in models');
    is($t->stats->{models}, 1, 'one request');
    $t->stop;    # "nginx ends when asked"
}

# --- an expired token is refreshed first

{
    my $t = sim_with({ add => [ \%nova ] }, login => 'credentials_file', sim => ['--expired']);
    ok(!built_in($t), 'the list with a refreshed token');
    is($t->stats->{refresh}, 1, 'one refresh');
    $t->stop;
}

# --- off

{
    my $t = sim_with({ add => [ \%nova ] }, account => 'models_interval off;', location => 'kiro_unknown_model refuse;');
    ok(built_in($t), 'models_interval off: the built-in models');
    $t->error_shape($t->openai('models: off', body => { model => 'nobody' }), 'openai', 404, 'the service refuses what it does not know');
    is($t->stats->{models}, 0, 'nothing is fetched');
    is($t->stats->{generate_rejected}, 1, 'an unknown model passes');
    $t->stop;
}

# --- more than a list may have

{
    my @many = map { { modelId => "m$_-" . 'x' x 100, description => 'd' x 240 } } 1 .. 300;
    my $t = sim_with({ add => \@many }, http => 'kiro_zone small:256k;', workers => 1);
    my %list = listed($t);
    my $n = grep { /^m\d/ } keys %list;
    ok($n > 100 && $n < 300, "a long list is cut: $n");
    ok($list{auto}, 'at its end');
    $t->stop;
}

Test::More::done_testing();
