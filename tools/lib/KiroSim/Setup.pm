package KiroSim::Setup;

# What a simulator needs on disk: certificates and the credential files of its logins.

use v5.36;
use File::Path qw(make_path);
use KiroSim::Json qw(encode_json);

my @HOSTS = (
    'localhost',
    map({ my $role = $_; map { "$role.$_.kiro.dev" } qw(us-east-1 eu-central-1) } qw(runtime management telemetry)),
    'prod.us-east-1.auth.desktop.kiro.dev', map({ "oidc.$_.amazonaws.com" } qw(us-east-1 eu-central-1 eu-west-1)),
);

sub write_file ($path, $text) {
    my $new = "$path.new";
    unlink $new;
    sysopen my $fh, $new, Fcntl::O_WRONLY() | Fcntl::O_CREAT() | Fcntl::O_EXCL(), 0600 or die "$new: $!\n";
    print $fh $text;
    close $fh or die "$new: $!\n";
    rename $new, $path or die "$path: $!\n";
    return $path;
}

sub _openssl ($dir, @words) {
    my $log = "$dir/openssl.log";
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', $log;
        open STDERR, '>>', $log;
        exec 'openssl', @words or do { print STDERR "openssl: $!\n"; POSIX::_exit(127) };
    }
    waitpid $pid, 0;
    die "openssl $words[0] failed, see $log\n" if $?;
}

# A private CA and a server certificate for all the service's names; kept when the directory has them already.
sub certificates ($dir, @more) {
    my %file = map { $_ => "$dir/$_.pem" } qw(ca ca-key server server-key);
    return \%file if !@more && 4 == grep { -s } values %file;
    my @curve = (-newkey => 'ec', -pkeyopt => 'ec_paramgen_curve:P-256', '-nodes');
    _openssl($dir, 'req', '-x509', @curve, -keyout => $file{'ca-key'}, -out => $file{ca}, -days => 3650, -subj => '/CN=kiro-sim CA',
        -addext => 'keyUsage=critical,keyCertSign,cRLSign');
    _openssl($dir, 'req', @curve, -keyout => $file{'server-key'}, -out => "$dir/server.csr", -subj => '/CN=kiro-sim');
    my $names = join ',', map({ "DNS:$_" } @HOSTS, @more), 'IP:127.0.0.1', 'IP:::1';
    write_file("$dir/server.ext", join "\n", 'basicConstraints=CA:FALSE', 'keyUsage=critical,digitalSignature',
        'extendedKeyUsage=serverAuth', "subjectAltName=$names", '');
    _openssl($dir, 'x509', '-req', -in => "$dir/server.csr", -CA => $file{ca}, -CAkey => $file{'ca-key'}, '-CAcreateserial',
        -out => $file{server}, -days => 825, -extfile => "$dir/server.ext");
    return \%file;
}

sub write_login ($dir, $tokens, $login, $name) {
    write_file("$dir/$login->{client}{hash}.json", encode_json($tokens->registration_record) . "\n") if $login->{client};
    return write_file("$dir/$name.json", encode_json($tokens->credential_record($login)) . "\n");
}

# Fresh logins of every kind, each with its file; returns paths and values for the ready line.
sub credentials ($dir, $tokens, $first_ttl) {
    my %login = map { $_ => $tokens->login($_, $first_ttl) } qw(social oidc builder external);
    my $bare = $tokens->login('social', $first_ttl);
    my $key = $tokens->add_api_key;
    return {
        api_key => $key, api_key_file => write_file("$dir/api-key", "$key\n"),
        credentials => write_login($dir, $tokens, $login{social}, 'credentials'), profile_arn => $login{social}{arn},
        oidc => write_login($dir, $tokens, $login{oidc}, 'oidc'), oidc_profile_arn => $login{oidc}{arn},
        oidc_registration => "$dir/$login{oidc}{client}{hash}.json",
        builder => write_login($dir, $tokens, $login{builder}, 'builder'), builder_profile_arn => $login{builder}{arn},
        external => write_login($dir, $tokens, $login{external}, 'external'), external_profile_arn => $login{external}{arn},
        refresh_token_file => write_file("$dir/refresh-token", "$bare->{refresh}\n"), refresh_token_profile_arn => $bare->{arn},
    };
}

1;
