package Test::Kiro;

# Runs nginx with the module in front of the simulator, in a directory of its
# own, and looks after every test for what must never happen.
#
#   my $t = Test::Kiro->new(location => 'kiro_retries 2;')->start;
#   my $r = $t->openai('[[sim:500,ok]] hello', stream => 1);
#   my $s = $t->openai_stream($r, 'second attempt');     # grammar is checked
#   $t->done;
#
# Options of new(); the texts may hold %%NAME%% (see "vars"):
#   sim        extra arguments of the simulator, or 0: none
#   login      credentials_file | oidc | refresh_token_file | api_key_file (default)
#   scheme     https (default) | http
#   account    more lines of the kiro_account block
#   no_state   without state_path
#   main, http, server, location    more lines there
#   conf       the whole text of http {} instead
#   module     another file to load
#   workers    2
#   user       worker user when the tests run as root (default root)
#   key        client key to demand and to send
#   allow      regular expression of [alert]/[crit]/[emerg] lines that are expected
#
# TEST_KIRO_CAPTURE=all in the environment: kiro_capture of every request.

use strict;
use warnings;

use Cwd        ();
use Digest::SHA ();
use Errno      qw(EAGAIN);
use Exporter   qw(import);
use Fcntl      qw(:flock);
use File::Path ();
use File::Spec ();
use File::Temp ();
use IO::Socket::INET;
use JSON::PP ();
use POSIX qw(WNOHANG);
use Test::More ();
use Time::HiRes qw(time sleep);

use Test::Kiro::HTTP;
use Test::Kiro::SSE qw(check_openai check_anthropic check_responses
    check_openai_object check_anthropic_object check_responses_object);

our @EXPORT = qw(json scripted);

my $root  = Cwd::abs_path(__FILE__ =~ s{/t/lib/Test/Kiro\.pm$}{}r);
my $codec = JSON::PP->new->utf8->canonical->allow_nonref;
my @running;

sub root { return $root }

# json(data) -> text, json(text) -> data
sub json { return ref $_[0] ? $codec->encode($_[0]) : $codec->decode($_[0]) }

# The text that makes the simulator answer by a plan: scripted('500', 'ok')
# or scripted({ words => 5 }). Attempts are counted by conversation, so every call
# makes another one.
my $serial = 0;
my $chars  = JSON::PP->new->canonical;

sub scripted {
    my $text = grep({ ref } @_) ? $chars->encode(@_ > 1 ? [@_] : $_[0]) : join ',', @_;
    return "[[sim:$text]] request " . ++$serial . " of $$";
}

sub slurp {
    my ($file) = @_;
    open my $fh, '<:raw', $file or return '';
    local $/;
    return scalar(<$fh>) // '';
}

sub spew {
    my ($file, $text, $mode) = @_;
    $mode //= 0600 unless -e $file;    # it may be a login
    open my $fh, '>:raw', $file or die "$file: $!";
    print {$fh} $text;
    close $fh or die "$file: $!";
    chmod $mode, $file if defined $mode;
    return $file;
}

# A port below the ephemeral range that stays ours as long as the lock is held.
my @locks;

sub free_port {
    my $dir = File::Spec->tmpdir . "/test-kiro-ports-$>";
    mkdir $dir, 0700;
    for my $try (1 .. 500) {
        my $port = 12000 + int rand 18000;
        open my $fh, '>', "$dir/$port" or die "$dir/$port: $!";
        next unless flock $fh, LOCK_EX | LOCK_NB;
        my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1, ReuseAddr => 1)
            or next;
        close $s;
        push @locks, $fh;
        return $port;
    }
    die 'no free port';
}

sub wait_for {
    my ($seconds, $what) = @_;
    my $deadline = time + $seconds;
    while (1) {
        my $v = $what->();
        return $v if $v;
        return $v if time > $deadline;
        sleep 0.02;
    }
}

sub nginx_binary {
    my $n = $ENV{TEST_NGINX_BINARY} || 'nginx';
    return $n if $n =~ m{/};
    for my $d (split(/:/, $ENV{PATH} // ''), '/usr/sbin', '/usr/local/sbin') {
        return "$d/$n" if -x "$d/$n";
    }
    die "no $n in PATH; set TEST_NGINX_BINARY";
}

sub nginx_version {
    my $v = qx{${\nginx_binary()} -V 2>&1};
    # Angie says both its own and nginx's
    return $v =~ m{^nginx version: \S+/(\d+)\.(\d+)\.(\d+)}m || $v =~ m{/(\d+)\.(\d+)\.(\d+)} ? $1 * 1_000_000 + $2 * 1000 + $3 : 0;
}

# "load_module ...;" or nothing for a binary that has the module built in.
sub load_module {
    my $m = $ENV{TEST_KIRO_MODULE} // "$root/build/ngx_http_kiro_module.so";
    return '' if $m eq 'static';
    -e $m or die "$m is missing: run ./dev build";
    return "load_module $m;";
}

# How much slower everything may be (sanitizers, valgrind).
sub patience { return $ENV{TEST_KIRO_PATIENCE} || 1 }

sub new {
    my ($class, %o) = @_;
    my $dir = File::Temp::tempdir('kiro-test-XXXXXX', TMPDIR => 1);
    chmod 0755, $dir;
    my $self = bless {
        login => 'api_key_file', scheme => 'https', workers => 2, user => 'root', %o,
        dir => $dir, pid => $$, secrets => {}, extra_ports => {},
    }, $class;
    mkdir "$dir/$_" for qw(logs temp sim files);
    mkdir "$dir/state", 0700;
    if ($> == 0 && $self->{user} ne 'root') {
        my ($uid, $gid) = (getpwnam $self->{user})[ 2, 3 ];
        chown $uid, $gid, "$dir/temp", "$dir/state";
    }
    $self->secret($o{key}) if defined $o{key};
    push @running, $self;
    return $self;
}

# Remembers a text that must not turn up in any log.
sub secret { my ($self, @s) = @_; $self->{secrets}{$_} = 1 for grep { defined && length } @s; return $self }

sub start {
    my ($self) = @_;
    $self->start_sim unless defined $self->{sim} && !ref $self->{sim} && !$self->{sim};
    $self->start_nginx;
    return $self;
}

# --- the simulator ---------------------------------------------------------

sub start_sim {
    my ($self) = @_;
    my $ready = "$self->{dir}/sim/ready.json";
    my @args  = (
        '--port', 0, '--tls-port', 0, '--dir', "$self->{dir}/sim", '--log', "$self->{dir}/logs/sim.log",
        '--ready', $ready, @{ ref $self->{sim} ? $self->{sim} : [] },
    );
    $self->{sim_pid} = $self->_spawn('sim', $ENV{TEST_KIRO_SIM} // "$root/tools/kiro-sim", @args);
    my $info = wait_for(15 * patience(), sub {
        $self->_alive($self->{sim_pid}) or return -1;
        my $text = slurp($ready);
        return $text =~ /\}\s*$/ ? json($text) : undef;
    });
    ref $info or die "the simulator did not start:\n" . slurp("$self->{dir}/logs/sim.out");
    $self->{simulator} = $info;
    $self->_learn_secrets;
    return $self;
}

sub _learn_secrets {
    my ($self) = @_;
    my $i = $self->{simulator} or return;
    $self->secret($i->{api_key});
    for my $f (grep { defined && -r } @$i{qw(credentials oidc refresh_token_file api_key_file)},
        glob "$self->{dir}/state/*.json")
    {
        my $text = slurp($f);
        $self->secret($1) while $text =~ /"(?:access_?token|refresh_?token|client_?secret)"\s*:\s*"([^"]{8,})"/gi;
        $self->secret($text =~ s/\s+//gr) unless $text =~ /^\s*\{/;
    }
}

# A control call; returns the decoded answer.
sub sim {
    my ($self, $method, $path, $data) = @_;
    my $x = Test::Kiro::HTTP->new(
        port => $self->{simulator}{port}, method => $method, path => "/_sim/$path",
        headers => [ 'Content-Type' => 'application/json' ],
        send    => defined $data ? json($data) : '',
    );
    Test::Kiro::HTTP->run(10 * patience(), $x);
    die "simulator, $method $path: " . ($x->{error} // "$x->{status} $x->{body}")
        if $x->{error} || $x->{status} >= 300;
    return length $x->{body} ? eval { json($x->{body}) } // $x->{body} : undef;
}

sub stats { return $_[0]->sim(GET => 'stats') }

# The generate requests that the simulator saw, oldest first: {body, headers, status, ...}
sub seen { return @{ $_[0]->sim(GET => 'log?op=generate') } }

# --- nginx -----------------------------------------------------------------

sub vars {
    my ($self) = @_;
    my $i = $self->{simulator} // {};
    $self->{port} //= free_port();
    my $tls = $self->{scheme} eq 'https';
    return {
        map({ uc $_ => $i->{$_} } grep { defined $i->{$_} && !ref $i->{$_} } keys %$i),
        DIR      => $self->{dir},
        FILES    => "$self->{dir}/files",
        STATE    => "$self->{dir}/state",
        ROOT     => $root,
        PORT     => $self->{port},
        SIM      => '127.0.0.1:' . ($i->{port} // 1),
        SIM_TLS  => '127.0.0.1:' . ($i->{tls_port} // 1),
        CA       => $i->{ca} // '',
        ENDPOINT => $tls ? 'https://127.0.0.1:' . ($i->{tls_port} // 1) : 'http://127.0.0.1:' . ($i->{port} // 1),
        SERVER   => $tls ? '127.0.0.1:' . ($i->{tls_port} // 1) : '127.0.0.1:' . ($i->{port} // 1),
        SCHEME   => $self->{scheme},
        SOURCE   => $self->_source,
        %{ $self->{vars} // {} },
    };
}

sub _source {
    my ($self) = @_;
    my $i = $self->{simulator} or return '';
    my ($directive, $file) = @{ {
            api_key_file       => [ 'api_key_file',       $i->{api_key_file} ],
            credentials_file   => [ 'credentials_file',   $self->{source_file} // $i->{credentials} ],
            oidc               => [ 'credentials_file',   $self->{source_file} // $i->{oidc} ],
            refresh_token_file => [ 'refresh_token_file', $i->{refresh_token_file} ],
        }->{ $self->{login} } or die "login $self->{login}" };
    my $arn = $self->{login} eq 'oidc' ? "\n        profile_arn $i->{oidc_profile_arn};" : '';
    return "$directive $file;$arn";
}

# The text of nginx.conf, placeholders filled in.
sub config {
    my ($self) = @_;
    my %o = (main => '', http => '', server => '', location => '', account => '', %$self);
    my $key  = defined $self->{key} ? "kiro_client_key $self->{key} tester;" : '';
    my $group = $> == 0 ? getgrgid((getpwnam $self->{user})[3]) : '';
    my $user = $> == 0 ? "user $self->{user} $group;" : '';
    my $http = $self->{conf} // <<"EOT";
    upstream kiro_runtime { server %%SERVER%% max_fails=0; keepalive 32; }

    kiro_account main {
        %%SOURCE%%
        @{[ $o{no_state} ? '' : 'state_path %%STATE%%;' ]}
        endpoint %%SCHEME%%://kiro_runtime;
        auth_endpoint %%ENDPOINT%%;
        management_endpoint %%ENDPOINT%%;
        ssl_trusted_certificate %%CA%%;
        ssl_name localhost;
        $o{account}
    }
    $o{http}

    server {
        listen 127.0.0.1:%%PORT%%@{[ $o{listen} ? " $o{listen}" : '' ]};
        client_max_body_size 32m;
        kiro_retry_delay 50ms 2s;
        $o{server}
        location /v1/ {
            kiro_pass main;
            $key
            $o{location}
        }
        location = /health { kiro_health; }
    }
EOT
    my $asan = join ' ', map { "env $_;" } grep { /^(?:ASAN|UBSAN|LSAN)_OPTIONS$/ } sort keys %ENV;
    my $level = $ENV{TEST_KIRO_DEBUG} ? 'debug' : 'info';
    my $text  = <<"EOT";
@{[ $self->{module} ? "load_module $self->{module};" : load_module() ]}
$user
$asan
daemon off;
master_process on;
worker_processes $self->{workers};
pid %%DIR%%/nginx.pid;
error_log %%DIR%%/logs/error.log $level;
$o{main}
events { worker_connections 2048; }
http {
    log_format kiro escape=json
        '{"status":"\$status","uri":"\$request_uri","pid":"\$pid","api":"\$kiro_api","model":"\$kiro_model",'
        '"client":"\$kiro_client","account":"\$kiro_account","stream":"\$kiro_stream",'
        '"input":"\$kiro_input_tokens","output":"\$kiro_output_tokens","credits":"\$kiro_credits",'
        '"reasoning":"\$kiro_reasoning_tokens","cache_read":"\$kiro_cache_read_tokens",'
        '"cache_write":"\$kiro_cache_write_tokens","usage":"\$kiro_usage_source",'
        '"context":"\$kiro_context_percent","attempts":"\$kiro_attempts","why":"\$kiro_retry_reason",'
        '"ttft":"\$kiro_first_token_time","stop":"\$kiro_stop_reason","error":"\$kiro_error",'
        '"id":"\$kiro_request_id","conversation":"\$kiro_conversation","notice":"\$kiro_notice","lost":"\$kiro_lost_calls",'
        '"queue":"\$kiro_queue_time","fallback":"\$kiro_fallback",'
        '"fallback_account":"\$kiro_fallback_account","retries":"\$kiro_retries",'
        '"token_wait":"\$kiro_token_wait_time","budget_left":"\$kiro_budget_left",'
        '"upstream":"\$upstream_addr","upstream_status":"\$upstream_status","rt":"\$request_time"}';
    access_log %%DIR%%/logs/access.log kiro;
    client_body_temp_path %%DIR%%/temp/body;
    proxy_temp_path %%DIR%%/temp/proxy;
    fastcgi_temp_path %%DIR%%/temp/fastcgi;
    uwsgi_temp_path %%DIR%%/temp/uwsgi;
    scgi_temp_path %%DIR%%/temp/scgi;
    @{[ $ENV{TEST_KIRO_CAPTURE} ? "kiro_capture $ENV{TEST_KIRO_CAPTURE}; kiro_capture_path %%DIR%%/captured;" : '' ]}
$http
}
EOT
    $text =~ s{(worker_processes) \d+}{$1 $self->{workers}};
    return $self->fill($text);
}

sub fill {
    my ($self, $text) = @_;
    my $vars = $self->vars;
    1 while $text =~ s/%%(\w+)%%/exists $vars->{$1} ? $vars->{$1} : die "no $1 for the configuration"/e;
    return $text;
}

sub write_config {
    my ($self) = @_;
    return spew("$self->{dir}/nginx.conf", $self->config);
}

sub start_nginx {
    my ($self) = @_;
    $self->write_config;
    $self->{nginx_pid} =
        $self->_spawn('nginx', nginx_binary(), '-p', "$self->{dir}/", '-c', "$self->{dir}/nginx.conf",
        '-e', "$self->{dir}/logs/error.log");
    my $up = wait_for(20 * patience(), sub {
        return -1 unless $self->_alive($self->{nginx_pid});
        return $self->workers && IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port});
    });
    ref $up or die "nginx did not start:\n" . slurp("$self->{dir}/logs/nginx.out") . $self->error_log;
    return $self;
}

# nginx -t with the configuration as it stands: (exit status, its words).
sub test_config {
    my ($self) = @_;
    $self->write_config;
    my $cmd = join ' ', nginx_binary(), '-t', '-p', "$self->{dir}/", '-c', "$self->{dir}/nginx.conf",
        '-e', "$self->{dir}/logs/error.log";
    # nginx -t leaves what it has read to the end of the process
    local $ENV{ASAN_OPTIONS} = "$ENV{ASAN_OPTIONS}:detect_leaks=0" if $ENV{ASAN_OPTIONS};
    my $out = qx{cd $self->{dir} && $cmd 2>&1};
    return ($? >> 8, $out);
}

sub _spawn {
    my ($self, $name, @cmd) = @_;
    defined(my $pid = fork) or die "fork: $!";
    return $pid if $pid;
    @locks = ();
    chdir $self->{dir};
    open STDIN,  '<',  '/dev/null';
    open STDOUT, '>>', "$self->{dir}/logs/$name.out";
    open STDERR, '>&', \*STDOUT;
    { no warnings; exec @cmd }
    print STDERR "exec $cmd[0]: $!\n";
    POSIX::_exit(127);
}

sub _alive {
    my ($self, $pid) = @_;
    return 0 unless $pid;
    return 0 if exists $self->{reaped}{$pid};
    if (waitpid($pid, WNOHANG) == $pid) { $self->{reaped}{$pid} = $?; $self->{exit}{$pid} = $?; return 0 }
    return 1;
}

sub _wait_exit {
    my ($self, $pid, $seconds) = @_;
    return wait_for($seconds, sub { !$self->_alive($pid) });
}

# The pids of the present workers (not those that are shutting down).
sub workers {
    my ($self) = @_;
    my $master = $self->{nginx_pid} or return;
    my @w;
    for my $stat (glob '/proc/[0-9]*/stat') {
        my $s = slurp($stat);
        my ($pid, $ppid) = $s =~ /^(\d+) \(.*\) \S (\d+) /s or next;
        next unless $ppid == $master;
        push @w, $pid if slurp("/proc/$pid/cmdline") =~ /worker process(?! is shutting)/;
    }
    return @w;
}

# The worker that has a connection to this local port.
sub worker_at {
    my ($self, $port) = @_;
    my $hex = sprintf '0100007F:%04X', $port;
    my %inode;
    for (split /\n/, slurp('/proc/net/tcp')) {
        my @f = split;
        $inode{ $f[9] } = 1 if ($f[2] // '') eq $hex && $f[3] eq '01';
    }
    for my $pid ($self->workers) {
        for my $fd (glob "/proc/$pid/fd/*") {
            return $pid if (readlink($fd) // '') =~ /^socket:\[(\d+)\]$/ && $inode{$1};
        }
    }
    return;
}

sub reload {
    my ($self) = @_;
    $self->write_config;
    my @old = $self->workers;
    kill HUP => $self->{nginx_pid};
    wait_for(15 * patience(), sub {
        my %now = map { $_ => 1 } $self->workers;
        return %now && !grep { $now{$_} } @old;
    }) or Test::More::diag('the reload did not start new workers');
    return $self;
}

# quit: graceful; term: fast. Returns true when nginx ended in time.
sub stop_nginx {
    my ($self, $how, $seconds) = @_;
    my $pid = delete $self->{nginx_pid} or return 1;
    return 1 unless $self->_alive($pid);
    kill { quit => 'QUIT', term => 'TERM' }->{ $how // 'quit' } => $pid;
    return 1 if $self->_wait_exit($pid, ($seconds // 10) * patience());
    kill TERM => $pid;
    $self->_wait_exit($pid, 5) or do { kill KILL => $pid; $self->_wait_exit($pid, 5) };
    return 0;
}

sub restart { my ($self) = @_; $self->stop_nginx('quit'); return $self->start_nginx }

sub rss {
    my ($self, $pid) = @_;
    return slurp("/proc/$pid/status") =~ /^VmRSS:\s+(\d+) kB/m ? $1 * 1024 : 0;
}

# pid => bytes
sub workers_rss { my ($self) = @_; return map { $_ => $self->rss($_) } $self->workers }

sub error_log { return slurp("$_[0]{dir}/logs/error.log") }

sub grep_log {
    my ($self, $re) = @_;
    return grep { $_ =~ $re } split /\n/, $self->error_log;
}

# The access log's records; waits until $n are there.
sub access {
    my ($self, $n) = @_;
    my @lines;
    wait_for(5, sub {
        @lines = split /\n/, slurp("$self->{dir}/logs/access.log");
        return @lines >= ($n // 1);
    });
    return map { json($_) } @lines;
}

sub last_access { my ($self, $n) = @_; return ($self->access($n))[-1] }

# --- requests --------------------------------------------------------------

sub exchange {
    my ($self, $method, $path, $data, %o) = @_;
    my @h = @{ delete $o{headers} // [] };
    my %have = map { lc $h[ $_ * 2 ] => 1 } 0 .. int(@h / 2) - 1;
    if (defined $data && !$have{'content-type'}) { push @h, 'Content-Type' => 'application/json' }
    if (defined $self->{key} && !$have{authorization} && !$have{'x-api-key'}) {
        push @h, Authorization => "Bearer $self->{key}";
    }
    return Test::Kiro::HTTP->new(
        port => $self->{port}, method => $method, path => $path, headers => \@h,
        send => ref $data ? json($data) : $data, %o,
    );
}

sub run {
    my ($self, @x) = @_;
    my $timeout = ref $x[0] ? 30 : shift @x;
    Test::Kiro::HTTP->run($timeout * patience(), @x);
    return @x;
}

sub turn { my ($self, $seconds, @x) = @_; return Test::Kiro::HTTP->turn($seconds, @x) }

sub get  { my ($self, $path, %o) = @_; return ($self->run($self->exchange('GET', $path, undef, %o)))[0] }
sub post {
    my ($self, $path, $data, %o) = @_;
    my $timeout = delete $o{timeout} // 30;
    return ($self->run($timeout, $self->exchange('POST', $path, $data, %o)))[0];
}

sub openai_body {
    my ($self, $what, %more) = @_;
    return { model => 'claude-sonnet-4.5', %more, ref $what eq 'ARRAY' ? (messages => $what)
        : ref $what ? %$what : (messages => [ { role => 'user', content => $what } ]) };
}

sub anthropic_body {
    my ($self, $what, %more) = @_;
    return { model => 'claude-sonnet-4-5', max_tokens => 1_000_000, %more, ref $what eq 'ARRAY' ? (messages => $what)
        : ref $what ? %$what : (messages => [ { role => 'user', content => $what } ]) };
}

sub responses_body {
    my ($self, $what, %more) = @_;
    return { model => 'claude-sonnet-4.5', input => $what, %more };
}

# Options: stream, usage, body => {more members}, and those of Test::Kiro::HTTP.
sub openai_x {
    my ($self, $what, %o) = @_;
    my %more = %{ delete $o{body} // {} };
    $more{stream} = JSON::PP::true if my $stream = delete $o{stream};
    $more{stream_options} = { include_usage => JSON::PP::true } if $stream && delete $o{usage};
    delete $o{usage};
    return $self->exchange('POST', delete $o{path} // '/v1/chat/completions',
        $self->openai_body($what, %more), %o);
}

sub anthropic_x {
    my ($self, $what, %o) = @_;
    my %more = %{ delete $o{body} // {} };
    $more{stream} = JSON::PP::true if delete $o{stream};
    unshift @{ $o{headers} }, 'anthropic-version' => '2023-06-01';
    return $self->exchange('POST', delete $o{path} // '/v1/messages', $self->anthropic_body($what, %more), %o);
}

sub responses_x {
    my ($self, $what, %o) = @_;
    my %more = %{ delete $o{body} // {} };
    $more{stream} = JSON::PP::true if delete $o{stream};
    return $self->exchange('POST', delete $o{path} // '/v1/responses', $self->responses_body($what, %more), %o);
}

sub openai {
    my ($self, $what, %o) = @_;
    my $timeout = delete $o{timeout} // 30;
    return ($self->run($timeout, $self->openai_x($what, %o)))[0];
}

sub anthropic {
    my ($self, $what, %o) = @_;
    my $timeout = delete $o{timeout} // 30;
    return ($self->run($timeout, $self->anthropic_x($what, %o)))[0];
}

sub responses {
    my ($self, $what, %o) = @_;
    my $timeout = delete $o{timeout} // 30;
    return ($self->run($timeout, $self->responses_x($what, %o)))[0];
}

# --- assertions ------------------------------------------------------------

sub _no_faults {
    my ($r, $s, $name) = @_;
    Test::More::is_deeply($s->{faults}, [], "$name: grammar")
        or Test::More::diag(substr $r->{body} // '', 0, 4000);
    return $s;
}

sub ok_response {
    my ($self, $r, $status, $type, $name) = @_;
    my $ok = !$r->{error} && ($r->{status} // 0) == $status && ($r->header('content-type') // '') =~ $type;
    Test::More::ok($ok, "$name: $status") or Test::More::diag(
        'error: ' . ($r->{error} // 'none') . ', status: ' . ($r->{status} // 'none') . ', type: '
            . ($r->header('content-type') // 'none') . "\n" . substr $r->{body}, 0, 2000);
    return $ok;
}

sub openai_stream {
    my ($self, $r, $name, %o) = @_;
    $self->ok_response($r, 200, qr{^text/event-stream}, $name);
    return _no_faults($r, check_openai($r->{body}, %o), $name);
}

sub anthropic_stream {
    my ($self, $r, $name, %o) = @_;
    $self->ok_response($r, 200, qr{^text/event-stream}, $name);
    return _no_faults($r, check_anthropic($r->{body}, %o), $name);
}

sub responses_stream {
    my ($self, $r, $name, %o) = @_;
    $self->ok_response($r, 200, qr{^text/event-stream}, $name);
    return _no_faults($r, check_responses($r->{body}, %o), $name);
}

sub responses_object {
    my ($self, $r, $name) = @_;
    $self->ok_response($r, 200, qr{^application/json}, $name);
    return _no_faults($r, check_responses_object($r->{body}), $name);
}

sub openai_object {
    my ($self, $r, $name) = @_;
    $self->ok_response($r, 200, qr{^application/json}, $name);
    return _no_faults($r, check_openai_object($r->{body}), $name);
}

sub anthropic_object {
    my ($self, $r, $name) = @_;
    $self->ok_response($r, 200, qr{^application/json}, $name);
    return _no_faults($r, check_anthropic_object($r->{body}), $name);
}

# An error in the dialect's own shape; returns its inner object.
sub error_shape {
    my ($self, $r, $api, $status, $name) = @_;
    my $e    = eval { json($r->{body}) };
    my $in   = ref $e eq 'HASH' ? $e->{error} : undef;
    my $type = ($r->header('content-type') // '') =~ m{^application/json};
    my $ok   = !$r->{error} && $type && ref $in eq 'HASH' && length($in->{message} // '') && length($in->{type} // '');
    my $good = ref $status ? grep { $_ == ($r->{status} // 0) } @$status : ($r->{status} // 0) == $status;
    if ($ok && $api eq 'anthropic') {
        $ok = ($e->{type} // '') eq 'error' && length($e->{request_id} // '')
            && ($r->header('request-id') // '') eq $e->{request_id};
    }
    elsif ($ok) {
        $ok = exists $in->{param} && exists $in->{code} && length($r->header('x-request-id') // '');
    }
    Test::More::ok($ok && $good, "$name: " . (ref $status ? join '/', @$status : $status) . " in $api shape")
        or Test::More::diag('error: ' . ($r->{error} // 'none') . "\n" . ($r->{head} // '')
            . substr $r->{body} // '', 0, 1500);
    return $in // {};
}

# --- the end ---------------------------------------------------------------

sub stop {
    my ($self) = @_;
    return if $self->{stopped}++;
    $self->_learn_secrets;
    Test::More::ok($self->stop_nginx($self->{stop} // 'quit'), 'nginx ends when asked');
    if (my $pid = delete $self->{sim_pid}) {
        kill TERM => $pid if $self->_alive($pid);
        $self->_wait_exit($pid, 5) or do {
            Test::More::diag('the simulator did not end');
            kill KILL => $pid;
            $self->_wait_exit($pid, 5);
        };
    }
    my $log   = $self->error_log;
    my $out   = slurp("$self->{dir}/logs/nginx.out");
    my $allow = $self->{allow} // qr/(?!)/;
    my @bad   = grep { /\[(?:alert|crit|emerg)\]/ && $_ !~ $allow } split /\n/, $log;
    Test::More::is_deeply(\@bad, [], 'no alert, crit or emerg in the error log');
    my $sanitizer = join "\n", grep { /Sanitizer|runtime error:/ } split /\n/, $out . $log;
    Test::More::is($sanitizer, '', 'no word from a sanitizer')
        or Test::More::diag(substr $out, 0, 12000);
    unless ($ENV{TEST_KIRO_DEBUG}) {
        my $all = $log . $out . slurp("$self->{dir}/logs/access.log");
        my @leaked = grep { index($all, $_) >= 0 } keys %{ $self->{secrets} };
        Test::More::is(scalar @leaked, 0, 'no secret in a log');
    }
    my @left;
    wait_for(3, sub { @left = $self->_left; !@left });
    Test::More::is_deeply(\@left, [], 'no process is left');
    for (@left) { my ($pid) = /^(\d+)/; kill KILL => $pid }
    return;
}

sub _left {
    my ($self) = @_;
    my @left;
    for my $cwd (glob '/proc/[0-9]*/cwd') {
        my $at = readlink($cwd) // next;
        next unless $at eq $self->{dir};
        my ($pid) = $cwd =~ /(\d+)/;
        my $cmd = slurp("/proc/$pid/cmdline") =~ tr/\0/ /r;
        push @left, "$pid $cmd" if length $cmd;
    }
    return @left;
}

# Ends the test: what must never happen did not, and the plan is closed.
sub done {
    my ($self) = @_;
    $_->stop for grep { !$_->{stopped} } @running;
    Test::More::done_testing();
    return;
}

END {
    my $status = $?;
    for my $self (grep { $_->{pid} == $$ } @running) {
        unless ($self->{stopped}) {
            $self->stop_nginx('term', 5);
            if (my $pid = $self->{sim_pid}) { kill TERM => $pid; $self->_wait_exit($pid, 5) }
        }
        if ($ENV{TEST_KIRO_LEAVE} || !Test::More->builder->is_passing || $status) {
            Test::More::diag("kept: $self->{dir}") if $ENV{TEST_KIRO_LEAVE};
            next if $ENV{TEST_KIRO_LEAVE};
            my @tail = split /\n/, $self->error_log;
            splice @tail, 0, @tail - 25 if @tail > 25;
            Test::More::diag("error log of the failed test:\n" . join "\n", @tail) if @tail;
        }
        File::Path::remove_tree($self->{dir}) if $self->{dir} =~ m{/kiro-test-\w+$};
    }
    $? = $status;
}

1;
