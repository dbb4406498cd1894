use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# The ways to name the upstream, the wire forms, and accounts by variable.

my $t = Test::Kiro->new(
    http => <<'EOT',
    upstream pair { server 127.0.0.1:1 max_fails=0; server %%SERVER%% max_fails=0; keepalive 4; }

    kiro_account direct {
        api_key_file %%API_KEY_FILE%%; endpoint %%ENDPOINT%%; ssl_name localhost; ssl_trusted_certificate %%CA%%;
    }
    kiro_account byname {
        api_key_file %%API_KEY_FILE%%; endpoint https://localhost:%%TLS%%; ssl_trusted_certificate %%CA%%;
    }
    kiro_account plain  { api_key_file %%API_KEY_FILE%%; endpoint http://%%SIM%%; }
    kiro_account second {
        api_key_file %%API_KEY_FILE%%; endpoint https://pair; ssl_name localhost; ssl_trusted_certificate %%CA%%;
    }
    kiro_account v2 {
        credentials_file %%CREDENTIALS%%; endpoint %%ENDPOINT%%; auth_endpoint %%ENDPOINT%%; ssl_name localhost; ssl_trusted_certificate %%CA%%; wire v2; state_path %%STATE%%;
    }
    kiro_account rest {
        credentials_file %%CREDENTIALS%%; endpoint %%ENDPOINT%%; auth_endpoint %%ENDPOINT%%; ssl_name localhost; ssl_trusted_certificate %%CA%%; wire rest; state_path %%STATE%%;
    }
    kiro_account v3 {
        credentials_file %%CREDENTIALS%%; endpoint %%ENDPOINT%%; auth_endpoint %%ENDPOINT%%; ssl_name localhost; ssl_trusted_certificate %%CA%%; wire v3; state_path %%STATE%%;
    }
    map $http_x_team $team { default direct; red v2; blue rest; gone nobody; "" ""; }
EOT
    server => <<'EOT',
        location /direct/v1/ { kiro_pass direct; }
        location /byname/v1/ { kiro_pass byname; }
        location /plain/v1/  { kiro_pass plain; }
        location /second/v1/ { kiro_pass second; kiro_retry_delay 10ms 20ms; }
        location /v2/v1/     { kiro_pass v2; }
        location /rest/v1/   { kiro_pass rest; }
        location /v3/v1/     { kiro_pass v3; }
        location /team/v1/   { kiro_pass $team; }
        location /alias/v1/  {
            kiro_pass direct;
            kiro_model_alias gpt-4o claude-sonnet-4.5;
            kiro_default_model claude-haiku-4.5;
            kiro_set_header User-Agent "tester/$http_x_team";
            kiro_set_header X-Extra extra;
        }
EOT
);
$t->start_sim;
$t->{vars}{TLS} = $t->{simulator}{tls_port};
$t->start_nginx;

for my $where (qw(direct byname plain v2 rest v3)) {
    my $s = $t->openai_stream($t->openai(scripted({ words => 4 }), stream => 1, path => "/$where/v1/chat/completions"), $where);
    is($s->{text}, 'word1 word2 word3 word4', "$where: the answer");
    my ($seen) = ($t->seen)[-1];
    my $wire = { v2 => 'v2', rest => 'rest' }->{$where} // 'v3';
    is($seen->{wire}, $wire, "$where: the wire form");
    is($seen->{tls} ? 1 : 0, $where eq 'plain' ? 0 : 1, "$where: TLS or not");
    is($seen->{status}, 200, "$where: accepted by the strict upstream");
}

# A group with a dead server: attempts go on with the next one.
my $served = grep { $t->openai('hello', path => '/second/v1/chat/completions')->{status} == 200 } 1 .. 6;
is($served, 6, 'a group with one dead server');

# The account by a variable.
for (['red', 'v2'], ['blue', 'rest'], ['', undef], ['other', 'v3'], ['gone', undef]) {
    my ($team, $wire) = @$_;
    my $r = $t->openai('hello', path => '/team/v1/chat/completions', headers => [ 'X-Team' => $team ]);
    if ($wire) {
        is($r->{status}, 200, "team $team");
        is(($t->seen)[-1]{wire}, $wire, 'its account');
    }
    else { $t->error_shape($r, 'openai', [ 403, 404, 500, 503 ], "team '$team' has no account") }
}

# Model aliases, the default model, headers.
my $r = $t->openai('hello', path => '/alias/v1/chat/completions', body => { model => 'gpt-4o' }, headers => [ 'X-Team' => 'red' ]);
is($t->openai_object($r, 'alias')->{model}, 'gpt-4o', 'the client sees its own name');
my $seen = ($t->seen)[-1];
is($seen->{body}{conversationState}{currentMessage}{userInputMessage}{modelId}, 'claude-sonnet-4.5', 'the upstream the other one');
is($seen->{headers}{'user-agent'}, 'tester/red', 'kiro_set_header with a variable');
is($seen->{headers}{'x-extra'}, 'extra', 'kiro_set_header');
$r = $t->post('/alias/v1/chat/completions', { messages => [ { role => 'user', content => 'hello' } ] });
$t->openai_object($r, 'without a model');
is(($t->seen)[-1]{body}{conversationState}{currentMessage}{userInputMessage}{modelId}, 'claude-haiku-4.5', 'kiro_default_model');

# What goes up names the client's headers nowhere.
$t->openai('hello', headers => [ Cookie => 'a=b', 'X-Forwarded-For' => '1.2.3.4', Referer => 'http://x/' ]);
my %h = %{ ($t->seen)[-1]{headers} };
ok(!exists $h{$_}, "no $_ upstream") for qw(cookie x-forwarded-for referer);

$t->done;
