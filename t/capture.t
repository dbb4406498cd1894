use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fcntl qw(:flock);
use Test::More;
use Time::HiRes qw(sleep);
use Test::Kiro;
use Test::Kiro::Capture qw(captures capture_of names_of);

# kiro_capture: which requests leave a directory, what is in it, and that there are never too many.
# That no secret is in one: t/capture_faults.t.

my $account = '123456789012';
my $t = Test::Kiro->new(
    login => 'oidc', key => 'client-key-SECRET-capture-0123', workers => 2,
    location => 'kiro_capture errors; kiro_retries 1; kiro_retry_delay 10ms 20ms;',
    account  => 'cool_down off; quota_retry off; suspended_retry off;',
    http => 'kiro_capture_path %%DIR%%/captures max_requests=20 max_file_size=8k max_size=1m; kiro_account spare { %%SOURCE%% endpoint %%ENDPOINT%%; auth_endpoint %%ENDPOINT%%; management_endpoint %%ENDPOINT%%; ssl_trusted_certificate %%CA%%; ssl_name localhost; state_path %%STATE%%; }',
    server => <<'EOT',
        location /all/v1/  { kiro_pass main; kiro_client_key client-key-SECRET-capture-0123 tester; kiro_capture all; kiro_retry_delay 10ms 20ms; }
        location /off/v1/  { kiro_pass main; kiro_capture off; }
        location /few/v1/  { kiro_pass main; kiro_capture all; kiro_capture_path %%DIR%%/few max_requests=3; }
        location /fall/v1/ { kiro_pass main; kiro_capture errors; kiro_retries 0; kiro_fallback @spare quota; }
        location @spare    { kiro_pass spare; kiro_retries 0; }
        location /raw/     { alias %%FILES%%/; types { application/vnd.amazon.eventstream bin; } kiro_filter openai; kiro_capture all; }
EOT
);
$t->start;
my $dir = "$t->{dir}/captures";
is(sprintf('%03o', (stat $dir)[2] & 0777), '700', 'nginx makes the directory');

my $get = sub { capture_of($dir, $_[0]->header($_[1] // 'x-request-id')) };

# --- a failure, and no failure -------------------------------------------------------------------------------------

my $fine = $t->openai('capture: all is well', stream => 1);
$t->openai_stream($fine, 'no failure');
my $x = $t->openai(scripted({ status => 500, message => 'the first time' }, { status => 400, reason => 'TOOL_USE_RESULT_MISMATCH', message => 'the second time' }));
is($x->{status}, 400, 'a request that fails after a retry');
my $c = $get->($x);
ok($c, 'it is captured') or BAIL_OUT('nothing is captured');
is_deeply([ sort keys %{ $c->{files} } ], [ sort qw(request_body.json kiro_request_body.json response_stream_raw.1.txt
    response_stream_raw.txt response_stream_modified.txt app_logs.txt error_info.json) ], 'the files');
like($c->{name}, qr/^\d{8}T\d{6}\.\d{3}Z-req_[0-9a-f]{24}$/, 'name of the directory');
is(sprintf('%03o', (stat "$dir/$c->{name}")[2] & 0777), '700', 'it is the workers\'');
is(sprintf('%03o', (stat "$dir/$c->{name}/$_")[2] & 0777), '600', "$_ is as well") for sort keys %{ $c->{files} };

my $f = $c->{files};
is_deeply(json($f->{'request_body.json'}), json($x->{send}), 'request_body.json is the client\'s body');
my ($seen) = reverse $t->seen;
my $sent = $f->{'kiro_request_body.json'};
is(length $sent, length json($seen->{body}), 'kiro_request_body.json has the length of what was sent') if ref $seen->{body};
is(json($sent)->{conversationState}{conversationId}, $seen->{body}{conversationState}{conversationId}, '... and is that');
like($f->{'response_stream_raw.1.txt'}, qr/the first time/, 'the first reply');
like($f->{'response_stream_raw.txt'}, qr/the second time/, 'the last one');
is($f->{'response_stream_modified.txt'}, $x->{body}, 'response_stream_modified.txt is what the client got');
my $error = json($f->{'error_info.json'});
is($error->{$_->[0]}, $_->[1], "error_info.json: $_->[0]") for [ status_code => 400 ], [ upstream_status => 400 ], [ error => 'upstream_refused' ],
    [ attempts => 2 ], [ api => 'openai' ], [ account => 'main' ], [ client => 'tester' ], [ request_id => $x->header('x-request-id') ];
my $log = $f->{'app_logs.txt'};
like($log, $_, "app_logs.txt: $_") for qr/\[capture\] \+0\.\d{3} ngx_kiro\/[\d.]+ .*nginx\/\d/, qr/client: POST \/v1\/chat\/completions HTTP\/1\.1/, qr/> Content-Type: application\/json/i,
    qr/> Authorization \(\d+ bytes, not shown\)/i, qr/attempt 1: POST \S* to \S+ of account "main"/, qr/attempt 1: status 500/, qr/attempt 1 failed: upstream_error/,
    qr/\[warn\] .*attempt 1 failed/, qr/attempt 2: status 400/, qr/\[error\] .*request failed after 2 attempts/, qr/\$kiro_error = upstream_refused/, qr/status 400, \d+ bytes sent/;
my ($arn) = $sent =~ /"profileArn":"([^"]+)"/;
like($arn, qr/^arn:aws:codewhisperer:us-east-1:\*{12}:profile\/\*+$/, 'the account of the profile is masked');

is($get->($fine), undef, 'nothing of the one that is well');
my $healed = $t->openai(scripted('500', 'ok'));
is($healed->{status}, 200, 'a retry heals');
my $off = $t->openai(scripted('400'), path => '/off/v1/chat/completions');
is($off->{status}, 400, 'a failure where it is off');
my $stranger = $t->openai('who is it?', headers => [ Authorization => 'Bearer stranger-SECRET-0123456789' ]);
is($stranger->{status}, 401, 'a stranger');
my $bad = $t->post('/v1/messages', '{"model":"claude-sonnet-4.5","max_tokens":9,"messages":[{"role":"king","content":"capture"}]}');
is($bad->{status}, 400, 'a request that is refused here');
my $b = $get->($bad, 'request-id');
is_deeply([ sort keys %{ $b->{files} } ], [ qw(app_logs.txt error_info.json request_body.json response_stream_modified.txt) ], 'what never became a Kiro request');
ok(!defined $get->($_), 'none of the others') for $healed, $off, $stranger;
my $route = $t->get('/v1/none');
is_deeply([ names_of($get->($route)) ], [ qw(app_logs.txt error_info.json response_stream_modified.txt) ], 'an unknown route');
my $zip = $t->post('/v1/chat/completions', 'pressed client-key-SECRET-capture-0123', headers => [ 'Content-Encoding' => 'gzip' ]);
is_deeply([ names_of($get->($zip)) ], [ qw(app_logs.txt error_info.json response_stream_modified.txt) ], 'a compressed body is not kept: nobody can mask it');

# --- streams ----------------------------------------------------------------------------------------------------------

my $broken = $t->anthropic(scripted({ text => 'One two three.', gap_ms => 30, exception => { type => 'error', after_events => 3 } }), stream => 1);
like($broken->{body}, qr/event: error/, 'a stream breaks');
$b = $get->($broken, 'request-id');
is($b->{files}{'response_stream_modified.txt'}, $broken->{body}, 'all of it, pings too');
like($b->{files}{'response_stream_raw.txt'}, qr/^\0\0.*assistantResponseEvent.*exception/s, 'the raw one as it came');
is(json($b->{files}{'error_info.json'})->{error}, 'upstream_error', 'its error');

my @left = map { $t->openai_x(scripted($_), stream => 1) } { first_ms => 60_000 }, { words => 600, gap_ms => 100 };
$t->turn(1 * Test::Kiro::patience(), @left);
like($left[1]{body}, qr/data: /, 'one has begun');
$_->leave for @left;
ok(Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { grep { $_->{files}{'app_logs.txt'} =~ /kiro_error = client_closed/ } captures($dir) }), 'a client that left before it got anything');
sleep 0.3;
is(scalar(grep { $_->{files}{'app_logs.txt'} =~ /kiro_error = client_closed/ } captures($dir)), 1, 'not the one that had enough');

my $fall = $t->openai(scripted('402', 'ok'), path => '/fall/v1/chat/completions', headers => []);
is($fall->{status}, 200, 'a fallback serves') or diag $get->($fall)->{files}{'app_logs.txt'}, $fall->{body};
is($get->($fall), undef, 'no failure');
$fall = $t->openai(scripted('402', '400'), path => '/fall/v1/chat/completions', headers => []);
is($fall->{status}, 400, 'or not');
$b = $get->($fall);
is_deeply([ names_of($b) ], [ sort qw(request_body.json kiro_request_body.json response_stream_raw.1.txt response_stream_raw.txt
    response_stream_modified.txt app_logs.txt error_info.json) ], 'both accounts in one capture') or diag explain [ names_of($b) ];
like($b->{files}{'app_logs.txt'}, qr/attempt 1: POST .* "main".*attempt 2: POST .* "spare".*\$kiro_fallback = quota/s, '... and their log');

# --- all, counting, models, kiro_filter, limits ---------------------------------------------------------------------------

my $all = $t->openai(scripted({ text => 'A short answer.' }) . ' capture this: ' . 'a long tale ' x 2000, path => '/all/v1/chat/completions', stream => 1);
$t->openai_stream($all, 'all');
$b = $get->($all);
is_deeply([ names_of($b) ], [ sort qw(request_body.json kiro_request_body.json response_stream_raw.txt response_stream_modified.txt app_logs.txt) ], 'all: no error, no error_info.json');
like($b->{files}{'request_body.json'}, qr/\n\[cut here: \d+ bytes more, the limit is 8192\]\n\z/, 'a long file has a mark');
is($b->{files}{'response_stream_modified.txt'}, $all->{body}, 'a short one has not');
my $count = $t->post('/all/v1/messages/count_tokens', $t->anthropic_body('count me'));
is_deeply([ names_of($get->($count, 'request-id')) ], [ qw(app_logs.txt request_body.json response_stream_modified.txt) ], 'count_tokens');
my $models = $t->get('/all/v1/models');
is_deeply([ names_of($get->($models)) ], [ qw(app_logs.txt response_stream_modified.txt) ], 'models');
Test::Kiro::spew("$t->{dir}/files/a.bin", $b->{files}{'response_stream_raw.txt'}, 0644);
my $filter = $t->get('/raw/a.bin');
is($filter->{status}, 200, 'what was captured can be played back');
my ($f2) = grep { ($_->{files}{'app_logs.txt'} // '') =~ m{client: GET /raw/a\.bin} } wait_captures(sub { m{client: GET /raw/a\.bin} });
is_deeply([ names_of($f2) ], [ qw(app_logs.txt response_stream_modified.txt response_stream_raw.txt) ], 'kiro_filter');

sub wait_captures {
    my ($what) = @_;
    Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { grep { local $_ = $_->{files}{'app_logs.txt'} // ''; $what->() } captures($dir) });
    return captures($dir);
}

my @many = map { $t->openai_x("one of many captures $_", path => '/few/v1/chat/completions', headers => []) } 1 .. 24;
$t->run(30, @many);
is(scalar(grep { $_->{status} == 200 } @many), 24, 'many at once');
my $few = "$t->{dir}/few";
ok(Test::Kiro::wait_for(20 * Test::Kiro::patience(), sub { captures($few) == 3 && !$t->grep_log(qr/kiro_capture: captures come/) }), 'three stay');
$t->reload;
$t->openai('one more capture', path => '/few/v1/chat/completions', headers => []);
sleep 0.5 * Test::Kiro::patience();
is(scalar(captures($few)), 3, '... after a reload, too');
cmp_ok(scalar(captures($dir)), '<=', 20, 'and elsewhere as many as are allowed');

# --- more than can be written ----------------------------------------------------------------------------------------------

{
    open my $lock, '>>', "$few/.lock" or die $!;
    flock $lock, LOCK_EX or die $!;
    my @more = map { $t->openai_x("a capture that has to wait $_", path => '/few/v1/chat/completions', headers => []) } 1 .. 140;
    $t->run(60, @more);
    is(scalar(grep { $_->{status} == 200 } @more), 140, 'requests do not wait for captures');
    ok(Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { $t->grep_log(qr/\[error\] .*kiro_capture: captures come faster/) }), 'what is too much is lost, the log says so');
    close $lock;
    ok(Test::Kiro::wait_for(30 * Test::Kiro::patience(), sub { $t->grep_log(qr/kiro_capture: captures are written to "\S+" again/) }), 'those that waited are written');
    cmp_ok(scalar(() = $t->error_log =~ /kiro_capture: captures come faster/g), '<=', 2, 'a worker says it once');
    my $x = $t->openai('a capture after the crowd', path => '/few/v1/chat/completions', headers => []);
    ok(capture_of($few, $x->header('x-request-id')), 'the next one is there');
}

# --- what goes wrong with a directory ---------------------------------------------------------------------------------------

SKIP: {
    my $old = "$t->{dir}/gone";
    rename $few, $old or die $!;
    symlink $old, $few or die $!;
    my @there = captures($old);
    $t->openai("a capture behind a link $_", path => '/few/v1/chat/completions', headers => []) for 1 .. 4;
    ok(Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { $t->grep_log(qr/kiro_capture: \S+ is a symbolic link/) }), 'a link is not followed, the log says so');
    is_deeply([ map { $_->{name} } captures($old) ], [ map { $_->{name} } @there ], 'nothing is written behind it');
    cmp_ok(scalar(() = $t->error_log =~ /kiro_capture: \S+ is a symbolic link/g), '<=', 2, 'once a worker');
    unlink $few;
    my $again = $t->openai('a capture again', path => '/few/v1/chat/completions', headers => []);
    is($again->{status}, 200, 'requests do not care');
    ok(capture_of($few, $again->header('x-request-id')), 'a directory that is gone is made anew');
    ok(Test::Kiro::wait_for(5, sub { $t->error_log =~ /is a symbolic link.*\[notice\] .*kiro_capture: captures are written to "\S+" again/s }), 'the log says that it works again');
    chmod 0755, $few;
    my $open = $t->openai('a capture that others may read', path => '/few/v1/chat/completions', headers => []);
    ok(capture_of($few, $open->header('x-request-id')), 'one that others may look into is used');
    ok(Test::Kiro::wait_for(5, sub { $t->grep_log(qr/\[warn\] .*kiro_capture: other users may look into/) }), '... with a warning');
}

# --- stopping ---------------------------------------------------------------------------------------------------------------

mkdir "$few/.unfinished";
Test::Kiro::spew("$few/.unfinished/request_body.json", 'half');
my @last = map { $t->openai_x("the last captures $_", path => '/few/v1/chat/completions', headers => []) } 1 .. 8;
$t->run(30, @last);
$t->stop_nginx;
my %kept = map { $_->{id} => 1 } captures($few);
is(scalar(keys %kept), 3, 'what was done when nginx was stopped is written');
is(scalar(grep { $kept{ $_->header('x-request-id') } } @last), 3, '... the last ones');
ok(!-e "$few/.unfinished", 'what a worker left that died is gone');

my $other = Test::Kiro->new(allow => qr/needs a "kiro_capture_path"/, conf => 'kiro_account a { api_key_file %%API_KEY_FILE%%; endpoint http://127.0.0.1:1; } server { listen 127.0.0.1:%%PORT%%; location / { kiro_pass a; kiro_capture all; } }')->start_sim;
my ($rc, $said) = $other->test_config;
like($said, qr/"kiro_capture" needs a "kiro_capture_path" in location "\/"/, 'a path is needed');

$t->done;
