use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp ();
use Test::More;
use Test::Kiro;

# kiro-creds says what a source holds, and never a secret of it.

my $root = Test::Kiro::root();
my ($tool) = grep { defined && -x } $ENV{TEST_KIRO_CREDS}, map { "$root/build/$_/kiro-creds" } qw(asan fast nginx/kirocore);
plan skip_all => 'kiro-creds is not built: ./dev test builds it' if !$tool;
my ($sqlite) = grep { -x } map { "$_/sqlite3" } split /:/, $ENV{PATH} // '';

my $dir = File::Temp::tempdir('kiro-creds-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $access  = 'aoaSECRET' . 'a' x 60;
my $refresh = 'aorSECRET' . 'r' x 120;
my $arn     = 'arn:aws:codewhisperer:eu-central-1:123456789012:profile/SECRETPROFILE';
my $later   = '2999-01-01T00:00:00Z';
my $past    = '2020-01-01T00:00:00Z';

sub file {
    my ($name, $data, $mode) = @_;
    return Test::Kiro::spew("$dir/$name", ref $data ? json($data) : $data, $mode // 0600);
}

# (status, standard output, standard error); whatever happens, no secret is printed.
sub check {
    my (@args) = @_;
    my $cmd = join ' ', map { "'$_'" } $tool, @args;
    my $out = qx{$cmd 2>$dir/stderr};
    my $status = $? >> 8;
    my $err = Test::Kiro::slurp("$dir/stderr");
    is($? & 127, 0, "@args: no signal");
    unlike($out . $err, qr/SECRET|123456789012/, "@args: no secret, no ARN");
    return ($status, $out, $err);
}

sub says {
    my ($name, $status, $args, @lines) = @_;
    my ($got, $out, $err) = check(@$args);
    is($got, $status, "$name: exit status") or diag $out, $err;
    like($out, $_, "$name: $_") for @lines;
    is($err, '', "$name: no error");
    return $out;
}

sub fails {
    my ($name, $status, $args, $re) = @_;
    my ($got, $out, $err) = check(@$args);
    is($got, $status, "$name: exit status");
    is($out, '', "$name: nothing on the standard output");
    like($err, $re, "$name: why");
    is(scalar(() = $err =~ /\n/g), 1, "$name: in one line") if $status == 2;
    return;
}

my %social = (accessToken => $access, refreshToken => $refresh, expiresAt => $later, authMethod => 'social', provider => 'Google', profileArn => $arn);
my $social = file('social.json', \%social);
my $out = says('social', 0, [$social], qr/^source: +a JSON login file: \Q$social\E$/m, qr/^login: +Kiro Desktop login$/m,
    qr/^access token: +fingerprint [0-9a-f]{8}, expires 2999-01-01 00:00:00 UTC, in \d+ d$/m,
    qr/^refresh token: +fingerprint [0-9a-f]{8}$/m, qr/^refresh: +possible$/m,
    qr/^profile ARN: +arn:\.\.\.:eu-central-1:\.\.\.:profile\/\.\.\., fingerprint [0-9a-f]{8}$/m, qr/^API region: +eu-central-1$/m,
    qr/^hosts: +runtime\.eu-central-1\.kiro\.dev, management\.eu-central-1\.kiro\.dev, prod\.us-east-1\.auth\.desktop\.kiro\.dev$/m,
    qr/^for nginx: +credentials_file \Q$social\E;$/m, qr/^result: +it can be used$/m);
unlike($out, qr/warning/, 'social: nothing to complain about');

says('expired', 0, [ file('expired.json', { %social, expiresAt => $past }) ], qr/EXPIRED 2020-01-01/, qr/^result: +it can be used after a refresh/m);
my %alone = %social;
delete $alone{refreshToken};
says('only an access token', 0, [ file('alone.json', \%alone) ], qr/^refresh: +NOT possible: there is no refresh token/m, qr/it can be used$/m);
says('only one that has expired', 1, [ file('spent.json', { %alone, expiresAt => $past }) ], qr/^result: +it CANNOT be used/m);

says('API key', 0, [ file('key', "ksk_SECRET" . 'k' x 40 . "\n") ], qr/^login: +Kiro API key$/m, qr/does not expire/, qr/^profile ARN: +none/m, qr/^for nginx: +api_key_file/m);
says('refresh token', 0, [ file('token', "$refresh\n") ], qr/^access token: +none yet/m, qr/^for nginx: +refresh_token_file/m, qr/after a refresh/);

my $hash = '0123456789abcdef0123456789abcdef01234567';
my %oidc = (accessToken => $access, refreshToken => $refresh, expiresAt => $past, authMethod => 'IdC', provider => 'Enterprise', region => 'eu-west-1', clientIdHash => $hash);
my $registration = file("$hash.json", { clientId => 'id', clientSecret => 'SECRETclient', expiresAt => $later });
my $oidc = file('oidc.json', \%oidc);
says('OIDC', 0, [$oidc], qr/^registration: +there, expires 2999/m, qr/^SSO region: +eu-west-1$/m, qr/oidc\.eu-west-1\.amazonaws\.com/, qr/the service is asked for it/);
Test::Kiro::spew($registration, json({ clientId => 'id', clientSecret => 'SECRETclient', expiresAt => $past }));
says('OIDC, registration expired', 1, [$oidc], qr/^registration: +EXPIRED/m, qr/^refresh: +NOT possible: the client registration has expired/m);

unlink $registration;
says('OIDC without its registration', 1, [$oidc], qr/^registration: +missing$/m, qr/^refresh: +NOT possible: the client registration/m,
    qr/^warning: +.*there is no .*\Q$hash\E\.json/m);

my %idp = (refreshToken => $refresh, authMethod => 'external_idp', clientId => 'id', issuerUrl => 'https://example.com/');
says('identity provider', 0, [ file('idp.json', { %idp, tokenEndpoint => 'https://login.example.com/token/' }) ],
    qr/^refresh: +possible$/m, qr/^hosts: .*, login\.example\.com$/m);
says('identity provider without its token endpoint', 1, [ file('idp.json', \%idp) ],
    qr/^refresh: +NOT possible: "tokenEndpoint" is missing/m, qr/^hosts: .*kiro\.dev$/m, qr/^result: +it CANNOT be used/m);

# Permissions.
chmod 0644, $social;
says('read by all', 0, [$social], qr/^warning: +\Q$social\E can be read by everybody: chmod 600, or nginx refuses it \(allow_exposed_files\)$/m);
chmod 0660, $social;
says('of a group', 0, [$social], qr/can be read by its group \S+: chmod 600, unless that is the workers'/, qr/can be changed by others/);
chmod 0600, $social;
chmod 0777, $dir;
says('in a directory of all', 0, [$social], qr/^warning: +\Q$dir\E can be changed by others than its owner/m);
chmod 0700, $dir;
SKIP: {
    skip 'only root can give files away', 1 if $>;
    chown 65534, 65534, $social;
    says('of another user', 0, [$social], qr/^warning: +\Q$social\E belongs to \w+: write_back needs workers/m);
}

# Broken sources.
fails('no file', 2, ["$dir/none"], qr/No such file or directory/);
fails('a directory', 2, [$dir], qr/directory/);
fails('an empty file', 2, [ file('empty', " \n") ], qr/is empty/);
fails('cut JSON', 2, [ file('cut.json', substr json(\%social), 0, 80) ], qr/cut\.json: .*JSON/);
fails('another JSON', 2, [ file('other.json', { name => 'x' }) ], qr/other\.json: /);
fails('a short token', 2, [ file('short', 'aorSECRET') ], qr/short: /);
fails('no arguments', 3, [], qr/^usage: kiro-creds/);
fails('two files', 3, [ $social, $oidc ], qr/^usage:/);
fails('unknown option', 3, [ '--secret', $social ], qr/^usage:/);
fails('a key without a database', 3, [ '--key', 'x', $social ], qr/is for databases/);
my ($status, $help) = check('--help');
is($status, 0, 'help');
like($help, qr/exit status/, 'says what the status means');

# Databases.
SKIP: {
    skip 'no sqlite3', 1 if !$sqlite;
    my $db = "$dir/data.sqlite3";
    my $sql = sub {
        open my $shell, '|-', $sqlite, '-bail', $db or die $!;
        print {$shell} @_;
        close $shell or die "sqlite3: $?";
    };
    my %row = (access_token => $access, refresh_token => $refresh, expires_at => $later, region => 'eu-west-1', start_url => 'https://d-1.awsapps.com/start');
    $sql->('PRAGMA journal_mode = wal; CREATE TABLE auth_kv (key TEXT PRIMARY KEY, value TEXT); CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB);');
    fails('nobody is logged in', 2, [$db], qr/nobody is logged in/);
    $sql->(sprintf q{INSERT INTO auth_kv VALUES ('kirocli:odic:token', '%s'), ('kirocli:odic:device-registration', '%s');}
            . q{INSERT INTO auth_kv VALUES ('kirocli:social:token', '%s'); INSERT INTO state VALUES ('api.codewhisperer.profile', '%s');},
        json(\%row), json({ client_id => 'id', client_secret => 'SECRETclient' }),
        json({ access_token => $access, refresh_token => $refresh, expires_at => $past }), json({ arn => $arn }));
    chmod 0600, $db;
    my $before = Test::Kiro::slurp($db);
    says('database', 0, [$db], qr/^source: +a database of kiro-cli or Amazon Q: \Q$db\E$/m, qr/^known by: +row "kirocli:odic:token"/m, qr/the best of 2 logins/,
        qr/^registration: +there/m, qr/^for nginx: +credentials_db \Q$db\E;$/m);
    says('the row that is asked for', 0, [ '--key', 'kirocli:social:token', $db ], qr/^known by: +row "kirocli:social:token"/m, qr/after a refresh/);
    fails('a row that is not there', 2, [ '--key', 'kirocli:none:token', $db ], qr/no row "kirocli:none:token"/);
    is(Test::Kiro::slurp($db), $before, 'nothing is written');
    $sql->(q(UPDATE auth_kv SET value = '{"access_token":';));
    fails('corrupt rows', 2, [$db], qr/the row "kirocli:/);
    fails('damaged', 2, [ file('damaged.sqlite3', substr($before, 0, 16) . 'x' x 4096) ], qr/damaged\.sqlite3: /);
}

done_testing;
