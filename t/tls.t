use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# The upstream's certificate is verified unless the operator says otherwise; a
# certificate that does not verify is a fault of configuration, not retried.

my $t = Test::Kiro->new(
    http => <<'EOT',
    kiro_account system { api_key_file %%API_KEY_FILE%%; endpoint %%ENDPOINT%%; ssl_name localhost; }
    kiro_account other  { api_key_file %%API_KEY_FILE%%; endpoint %%ENDPOINT%%; ssl_name localhost; ssl_trusted_certificate %%FILES%%/other.pem; }
    kiro_account name   {
        api_key_file %%API_KEY_FILE%%; endpoint %%ENDPOINT%%; ssl_trusted_certificate %%CA%%; ssl_name wrong.example;
    }
    kiro_account off    { api_key_file %%API_KEY_FILE%%; endpoint %%ENDPOINT%%; ssl_verify off; }
    kiro_account plain  { api_key_file %%API_KEY_FILE%%; endpoint https://%%SIM%%; ssl_verify off; }
    kiro_account auth   {
        credentials_file %%CREDENTIALS%%; endpoint http://%%SIM%%; auth_endpoint %%ENDPOINT%%;
        ssl_name localhost; ssl_trusted_certificate %%FILES%%/other.pem; token_timeout 3s; state_path %%STATE%%;
    }
EOT
    server => join("\n", 'kiro_connect_timeout 500ms; kiro_retries 1;', map { "location /$_/v1/ { kiro_pass $_; }" } qw(system other name off plain auth)),
    sim => ['--expired'],
);
system "openssl req -x509 -newkey rsa:2048 -nodes -keyout $t->{dir}/files/other.key -out $t->{dir}/files/other.pem "
    . '-days 2 -subj /CN=other >/dev/null 2>&1';
$t->start;

my $n = 0;
for my $where (qw(system other name)) {
    my $r = $t->openai('hello', path => "/$where/v1/chat/completions");
    my $e = $t->error_shape($r, 'openai', 502, "$where: refused");
    my $log = $t->last_access(++$n);
    is($log->{attempts}, 1, "$where: tried once");
    is($log->{error}, 'upstream_tls', "$where: \$kiro_error");
}
is($t->stats->{generate}, 0, 'no request reached an unverified upstream');

$t->openai_object($t->openai('hello', path => '/off/v1/chat/completions'), 'ssl_verify off');
$n++;
my $r = $t->openai('hello', path => '/plain/v1/chat/completions');
$t->error_shape($r, 'openai', [ 502, 504 ], 'TLS to a port without TLS');
$n++;

$r = $t->openai('hello', path => '/auth/v1/chat/completions');
$t->error_shape($r, 'openai', [ 502, 503, 504 ], 'an auth host that does not verify');
is($t->stats->{refresh}, 0, 'it never got the refresh token');

$t->{allow} = qr/SSL|certificate/;
$t->done;
