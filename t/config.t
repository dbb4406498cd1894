use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# nginx -t refuses what cannot work, in a sentence that says what to change.

my $t = Test::Kiro->new(sim => 0);
my $f = "$t->{dir}/files";
Test::Kiro::spew("$f/key",        "ksk_test_0123456789abcdef\n");
Test::Kiro::spew("$f/empty",      "\n");
Test::Kiro::spew("$f/login.json", json({
    accessToken => 'aoa-test', refreshToken => 'aor-test-' . 'x' x 120, expiresAt => '2030-01-01T00:00:00.000Z',
    authMethod => 'social', provider => 'Google',
    profileArn => 'arn:aws:codewhisperer:us-east-1:000000000000:profile/EXAMPLE',
}));
Test::Kiro::spew("$f/broken.json", '{"accessToken":');
Test::Kiro::spew("$f/nothing.json", '{}');
Test::Kiro::spew("$f/keys",     'anna:' . '0' x 64 . "\n");
Test::Kiro::spew("$f/badkeys",  "anna:xyz\n");
Test::Kiro::spew("$f/badkeys2", "just a line\n");
Test::Kiro::spew("$f/badca",    "no certificate\n");
$t->secret('ksk_test_0123456789abcdef', 'aor-test-' . 'x' x 120);

sub conf {
    my ($account, $location, $http) = @_;
    return <<"EOT";
    @{[ $http // '' ]}
    kiro_account main {
        $account
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location /v1/ { @{[ $location // 'kiro_pass main;' ]} }
    }
EOT
}

sub check { $t->{conf} = shift; return $t->test_config }

my $key = 'api_key_file %%FILES%%/key; state_path %%STATE%%; endpoint https://127.0.0.1:9;';

my @good = (
    [ 'an API key', conf($key) ],
    [ 'a login file', conf('credentials_file %%FILES%%/login.json; state_path %%STATE%%; endpoint https://127.0.0.1:9;
        auth_endpoint https://127.0.0.1:9;') ],
    [ 'everything', conf("$key region us-east-1; auth_region eu-west-1; wire v2; refresh_before 5m; refresh on;
        auth_endpoint https://127.0.0.1:9; management_endpoint https://127.0.0.1:9/x; ssl_verify off; token_timeout 5s;
        profile_arn arn:aws:codewhisperer:us-east-1:000000000000:profile/EXAMPLE; ssl_name localhost;",
        'kiro_pass main; kiro_client_key abc me; kiro_client_keys %%FILES%%/keys; kiro_retries 2;
        kiro_retry_delay 1s 10s; kiro_first_token_timeout 90s; kiro_read_timeout 300s; kiro_connect_timeout 5s;
        kiro_send_timeout 5s; kiro_ping_interval off; kiro_buffer_size 32k; kiro_default_model claude-sonnet-4.5;
        kiro_model_alias gpt-4o claude-sonnet-4.5; kiro_set_header User-Agent "x/1"; kiro_thinking tags;
        kiro_tool_stream incremental; kiro_rescue_tool_calls off; kiro_truncation_notice off; kiro_early_headers off;', 'kiro_zone kiro:4m;') ],
    [ 'wire v3', conf("$key wire v3;") ],
    [ 'wire rest', conf("$key wire rest;") ],
    [ 'an account by variable', conf($key, 'kiro_pass $arg_account;') ],
    [ 'an upstream by name', conf('api_key_file %%FILES%%/key; endpoint https://up; ssl_name localhost;', undef,
        'upstream up { server 127.0.0.1:9; keepalive 2; }') ],
    [ 'resolver, keepalive', conf('api_key_file %%FILES%%/key; endpoint https://nowhere.invalid; keepalive 4; keepalive_timeout 10s;
        resolver 127.0.0.1:9 127.0.0.2:9 valid=10s; resolver_timeout 2s;') ],
    [ 'a proxy', conf('credentials_file %%FILES%%/login.json; endpoint https://nowhere.invalid; proxy http://a:b@127.0.0.1:9;
        auth_endpoint https://nowhere.invalid; management_endpoint https://nowhere.invalid;') ],
    [ 'no limits', conf($key, 'kiro_pass main; kiro_first_token_timeout off; kiro_max_response_size 0;') ],
    [ 'kiro_filter', conf($key, 'kiro_filter openai; root %%FILES%%;') ],
    [ 'kiro_health', conf($key, 'kiro_health;') ],
);
for (@good) {
    my ($name, $conf) = @$_;
    my ($status, $out) = check($conf);
    is($status, 0, "accepted: $name") or diag $out;
}

# name, http text, what the message must say
my @bad = (
    [ 'no account of that name', conf($key, 'kiro_pass other;'), qr/other/ ],
    [ 'no account at all', 'server { listen 127.0.0.1:%%PORT%%; location / { kiro_pass main; } }', qr/main/ ],
    [ 'two kinds of credentials', conf("$key credentials_file %%FILES%%/login.json;"),
        qr/api_key_file.*credentials_file|credentials_file.*api_key_file|second credential/ ],
    [ 'no credentials', conf('endpoint https://127.0.0.1:9;'), qr/api_key_file|credentials/ ],
    [ 'no such file', conf('api_key_file %%FILES%%/absent;'), qr{files/absent.*No such file|No such file.*files/absent} ],
    [ 'an empty key file', conf('api_key_file %%FILES%%/empty;'), qr/empty/ ],
    [ 'a login that is no JSON', conf('credentials_file %%FILES%%/broken.json;'), qr/broken\.json/ ],
    [ 'a login without tokens', conf('credentials_file %%FILES%%/nothing.json;'), qr/nothing\.json/ ],
    [ 'a directory', conf('credentials_file %%FILES%%;'), qr/files/ ],
    [ 'the same account twice', conf($key, undef, "kiro_account main { $key }"), qr/main.*(?:duplicate|twice|already)|duplicate.*main/ ],
    [ 'an account without a name', "kiro_account { $key }", qr/kiro_account/ ],
    [ 'URL without a scheme', conf('api_key_file %%FILES%%/key; endpoint 127.0.0.1:9;'), qr/endpoint|URL|https/ ],
    [ 'URL with another scheme', conf('api_key_file %%FILES%%/key; endpoint ftp://127.0.0.1;'), qr/ftp/ ],
    [ 'URL without a host', conf('api_key_file %%FILES%%/key; endpoint https://;'), qr/endpoint|URL|host/ ],
    [ 'bad port', conf('api_key_file %%FILES%%/key; endpoint https://127.0.0.1:99999;'), qr/port/ ],
    [ 'a host without an address', conf('api_key_file %%FILES%%/key; endpoint https://nowhere.invalid;'),
        qr/host not found in "endpoint" "nowhere\.invalid": add "resolver" .* or "proxy"/ ],
    [ 'an auth host without an address', conf('credentials_file %%FILES%%/login.json; endpoint https://127.0.0.1:9;
        auth_endpoint https://nowhere.invalid;'), qr/host not found in "auth_endpoint".* add "resolver" .* or "proxy"/ ],
    [ 'a proxy without an address', conf("$key proxy http://ksk_test_u:ksk_test_p\@nowhere.invalid:3128;"),
        qr/host not found in "proxy" "nowhere\.invalid": add "resolver"/ ],
    [ 'a proxy that is no URL', conf("$key proxy ksk_test_u:ksk_test_p\@127.0.0.1:3128;"), qr{"proxy" directive needs .*http://host:port} ],
    [ 'a proxy with a bad port', conf("$key proxy http://ksk_test_u:ksk_test_p;"), qr/invalid port in "proxy"/ ],
    [ 'a proxy and an upstream block', conf('api_key_file %%FILES%%/key; endpoint https://up; proxy http://127.0.0.1:9;', undef,
        'upstream up { server 127.0.0.1:9; }'), qr/"proxy" needs a plain host, "up" is an upstream block/ ],
    [ 'an upstream block with a port', conf('api_key_file %%FILES%%/key; endpoint https://up:443;', undef,
        'upstream up { server 127.0.0.1:9; }'), qr/upstream "up" may not have port 443/ ],
    [ 'a resolver without an address', conf("$key resolver;"), qr/resolver/ ],
    [ 'a bad resolver', conf("$key resolver 127.0.0.1 valid=soon;"), qr/valid=soon/ ],
    [ 'two resolvers', conf("$key resolver 127.0.0.1; resolver 127.0.0.2;"), qr/duplicate/ ],
    [ 'captures of any size', conf($key, undef, 'kiro_capture_path captures max_size=1g max_file_size=17m;'), qr/invalid parameter "max_file_size=17m"/ ],
    [ 'bad keepalive', conf("$key keepalive many;"), qr/keepalive|number/ ],
    [ 'bad auth URL', conf("$key auth_endpoint nonsense;"), qr/auth_endpoint|nonsense/ ],
    [ 'bad ARN', conf("$key profile_arn nonsense;"), qr/profile_arn|ARN/ ],
    [ 'bad wire', conf("$key wire v9;"), qr/"v9" in "wire" directive, it must be "v3", "v2" or "rest"/ ],
    [ 'unknown account directive', conf("$key nonsense 1;"), qr/nonsense/ ],
    [ 'directive twice in the account', conf("$key wire v3; wire v3;"), qr/duplicate/ ],
    [ 'bad flag', conf("$key refresh maybe;"), qr/maybe|on.*off/ ],
    [ 'bad CA file', conf("$key ssl_trusted_certificate %%FILES%%/badca;"), qr/badca/ ],
    [ 'absent CA file', conf("$key ssl_trusted_certificate %%FILES%%/absent.pem;"), qr/absent\.pem/ ],
    [ 'kiro_pass twice', conf($key, 'kiro_pass main; kiro_pass main;'), qr/duplicate/ ],
    [ 'kiro_pass without a name', conf($key, 'kiro_pass;'), qr/kiro_pass/ ],
    [ 'bad retries', conf($key, 'kiro_pass main; kiro_retries many;'), qr/kiro_retries|many|number/ ],
    [ 'bad time', conf($key, 'kiro_pass main; kiro_read_timeout soon;'), qr/kiro_read_timeout|soon/ ],
    [ 'bad time of the account', conf("$key quota_retry soon;"),
        qr/"soon" in "quota_retry" directive, it must be a time above zero, as "30s" or "10m", or "off"/ ],
    [ 'no time for the first token', conf($key, 'kiro_pass main; kiro_first_token_timeout 0;'),
        qr/"0" in "kiro_first_token_timeout" directive, it must be a time above zero, .* or "off"/ ],
    [ 'bad key file', conf($key, 'kiro_pass main; kiro_client_keys %%FILES%%/badkeys;'), qr/badkeys/ ],
    [ 'key file without names', conf($key, 'kiro_pass main; kiro_client_keys %%FILES%%/badkeys2;'), qr/badkeys2/ ],
    [ 'absent key file', conf($key, 'kiro_pass main; kiro_client_keys %%FILES%%/absent;'), qr{files/absent} ],
    [ 'an empty client key', conf($key, 'kiro_pass main; kiro_client_key "";'), qr/kiro_client_key|empty/ ],
    [ 'bad filter', conf($key, 'kiro_filter latin;'),
        qr/"latin" in "kiro_filter" directive, it must be "off", "openai", "anthropic" or "responses"/ ],
    [ 'bad way of tool calls', conf($key, 'kiro_pass main; kiro_tool_stream sometimes;'),
        qr/"sometimes" in "kiro_tool_stream" directive, it must be "complete" or "incremental"/ ],
    [ 'the same directive twice', conf($key, 'kiro_pass main; kiro_tool_stream complete; kiro_tool_stream complete;'),
        qr/"kiro_tool_stream" directive is duplicate/ ],
    [ 'bad early headers', conf($key, 'kiro_pass main; kiro_early_headers 0;'), qr/"kiro_early_headers".*"off"/ ],
    [ 'a zone that is too small', conf($key, undef, 'kiro_zone kiro:1k;'), qr/small|size|zone/ ],
    [ 'a zone without a size', conf($key, undef, 'kiro_zone kiro;'), qr/kiro/ ],
    [ 'kiro_account in a server', "server { listen 127.0.0.1:%%PORT%%; kiro_account main { $key } }",
        qr/not allowed here/ ],
);
for (@bad) {
    my ($name, $conf, $says) = @$_;
    my ($status, $out) = check($conf);
    my ($line) = $out =~ /^\w+: \[emerg\] (.*)/m;
    ok($status != 0 && defined $line, "refused: $name") or diag $out;
    like($line // '', $says, "the sentence for: $name");
    like($line // '', qr/ in .*nginx\.conf:\d+$/, 'with the place') unless $name =~ /no account|no credentials|CA file/;
    unlike($out, qr/ksk_test|aor-test|aoa-test/, 'without a secret');
}

# A file that its owner alone may read is a fault that names user and file.
SKIP: {
    skip 'root may read everything', 2 if $> == 0;
    chmod 0000, "$f/key";
    my ($status, $out) = check(conf($key));
    isnt($status, 0, 'refused: unreadable file');
    like($out, qr{files/key.*Permission denied|Permission denied.*files/key}, 'and says why');
    chmod 0600, "$f/key";
}

# No secret in nginx -T either.
{
    $t->{conf} = conf($key);
    $t->write_config;
    my $n = Test::Kiro::nginx_binary();
    my $out = qx{$n -T -p $t->{dir}/ -c $t->{dir}/nginx.conf 2>&1};
    like($out, qr/kiro_account main/, 'nginx -T shows the configuration');
    unlike($out, qr/ksk_test/, 'and no secret');
}

# These faults went into the log on purpose.
$t->{allow} = qr/\[emerg\]/;
$t->done;
