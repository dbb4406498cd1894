package Test::Kiro::Load;

# nginx between kiro_load's upstream and its clients (tools/load): no simulator, requests are not judged.
#
#   my $l = Test::Kiro::Load->new(workers => 2)->start;
#   my $c = $l->client(path => '/v1/chat/completions', streams => 60, interval => 10_000, tokens => 300);
#   $l->reload while $l->running($c);
#   my $r = $l->result($c);      # { calls, broken, tokens, 'p99.9', max, ... }, times in ms
#   $l->done;
#
# Locations: /v1/ is kiro_pass, /sse/{openai,anthropic,responses} proxy_pass of the same bytes, /frames/{...}
# proxy_pass of the frames through kiro_filter.

use strict;
use warnings;

use POSIX qw(WNOHANG);
use Test::Kiro;
use Time::HiRes qw(time sleep);

use parent -norequire, 'Test::Kiro';

# The tool, or nothing if it is not built.
sub binary {
    my $root = Test::Kiro::root();
    for my $file ($ENV{TEST_KIRO_LOAD} // (), map { "$root/build/$_/kiro_load" } qw(bench asan)) {
        return $file if -x $file;
    }
    return;
}

sub new {
    my ($class, %o) = @_;
    my ($kiro, $listen) = map { delete $o{$_} // '' } qw(location listen);
    my $plain = $o{scheme} && $o{scheme} eq 'http';
    my $s     = $plain ? 'http' : 'https';
    my $proxy = "proxy_http_version 1.1; proxy_set_header Connection ''; proxy_buffering off;"
        . ' proxy_ssl_verify on; proxy_ssl_trusted_certificate %%CA%%; proxy_ssl_name localhost; proxy_ssl_server_name on;';
    my $filters = join "\n", map { "location = /frames/$_ { proxy_pass $s://load_proxy/frames; kiro_filter $_; $proxy }" }
        qw(openai anthropic responses);
    my $self = $class->SUPER::new(
        sim  => 0,
        conf => <<"EOT",
    access_log off;
    upstream load_kiro { server %%LOAD%%; keepalive 1000; }
    upstream load_proxy { server %%LOAD%%; keepalive 1000; }
    kiro_account main {
        api_key_file %%FILES%%/key;
        endpoint $s://load_kiro;
        models_interval off;
        ssl_trusted_certificate %%CA%%;
        ssl_name localhost;
    }
    server {
        listen 127.0.0.1:%%PORT%% $listen;
        listen 127.0.0.1:%%H2_PORT%% http2;
        location /v1/ { kiro_pass main; $kiro }
        location /sse/ { proxy_pass $s://load_proxy; $proxy }
        $filters
    }
EOT
        %o,
    );
    Test::Kiro::spew("$self->{dir}/files/key", "ksk_load0000000000000000000000000000\n", 0600);
    return $self;
}

sub start {
    my ($self) = @_;
    my $dir = "$self->{dir}/sim";
    my @cmd = ('openssl', 'req', '-x509', '-newkey' => 'ec', '-pkeyopt' => 'ec_paramgen_curve:P-256', '-nodes',
        -keyout => "$dir/key.pem", -out => "$dir/cert.pem", -days => 2, -subj => '/CN=localhost',
        -addext => 'subjectAltName=DNS:localhost');
    system("@cmd >$dir/openssl.log 2>&1") == 0 or die "openssl failed:\n" . Test::Kiro::slurp("$dir/openssl.log");
    $self->{sim_pid} = $self->_spawn('load', binary(), 'upstream', '--cert', "$dir/cert.pem", '--key', "$dir/key.pem",
        '--ready', "$dir/ready");
    my $ports = Test::Kiro::wait_for(15, sub { Test::Kiro::slurp("$dir/ready") =~ /^(\d+) (\d+)\n/ ? [ $1, $2 ] : undef })
        or die "kiro_load does not listen:\n" . Test::Kiro::slurp("$self->{dir}/logs/load.out");
    $self->{upstream_port} = $ports->[0];
    $self->{vars} = {
        LOAD => '127.0.0.1:' . $ports->[ ($self->{scheme} // 'https') eq 'http' ? 0 : 1 ],
        CA => "$dir/cert.pem", H2_PORT => $self->{h2_port} = Test::Kiro::free_port(),
    };
    return $self->start_nginx;
}

# Starts clients; options are those of kiro_load, and path.
sub client {
    my ($self, %o) = @_;
    my $path = delete $o{path} // '/v1/chat/completions';
    my $port = delete $o{port} // $self->{port};
    my $name = 'client' . ++$self->{clients};
    my $pid  = $self->_spawn($name, binary(), 'client', '--url', "http://127.0.0.1:$port$path", map { ("--$_", $o{$_}) } sort keys %o);
    return { pid => $pid, out => "$self->{dir}/logs/$name.out" };
}

sub running { my ($self, $c) = @_; return $self->_alive($c->{pid}) }

# What the clients measured: the last row of their table, by its header.
sub result {
    my ($self, $c, $seconds) = @_;
    $self->_wait_exit($c->{pid}, $seconds // 600) or kill KILL => $c->{pid};
    $c->{text} = Test::Kiro::slurp($c->{out});
    my ($head, $row) = grep { /\|/ } split /\n/, $c->{text};
    defined $row or return { broken => 'all', text => $c->{text} };
    my @names = grep { $_ ne '|' } split ' ', $head;
    my @values = grep { $_ ne '|' } split ' ', $row;
    my %r = (text => $c->{text});
    @r{@names} = @values;
    return \%r;
}

# Workers that are leaving.
sub old_workers {
    my ($self) = @_;
    return grep { Test::Kiro::slurp("/proc/$_/cmdline") =~ /shutting down/ } $self->children;
}

sub children {
    my ($self) = @_;
    my $master = $self->{nginx_pid};
    return grep { Test::Kiro::slurp("/proc/$_/stat") =~ /^\d+ \(.*\) \S $master /s } map { m{(\d+)} } glob '/proc/[0-9]*';
}

# Bytes of all processes of nginx without files: what they share counts once. Files are shared with whoever
# else runs here, so their share changes.
sub memory {
    my ($self) = @_;
    my $sum = 0;
    for my $pid ($self->{nginx_pid}, $self->children) {
        my $text = Test::Kiro::slurp("/proc/$pid/smaps_rollup");
        my @kb = $text =~ /^Pss_(?:Anon|Shmem):\s+(\d+) kB/mg;
        @kb = $text =~ /^Pss:\s+(\d+) kB/m unless @kb;
        $sum += $_ * 1024 for @kb;
    }
    return $sum;
}

# Seconds of processor time that these processes used.
sub cpu {
    my ($self, @pids) = @_;
    my $sum = 0;
    for my $pid (@pids) {
        my @f = split ' ', Test::Kiro::slurp("/proc/$pid/stat") =~ s/^.*\) //sr;
        $sum += ($f[11] // 0) + ($f[12] // 0);
    }
    return $sum / POSIX::sysconf(&POSIX::_SC_CLK_TCK);
}

# What the upstream says: { connections, streams, tokens, bytes }
sub state {
    my ($self) = @_;
    my $x = Test::Kiro::HTTP->new(port => $self->{upstream_port}, method => 'GET', path => '/state', headers => []);
    Test::Kiro::HTTP->run(10, $x);
    return { split ' ', $x->{body} // '' };
}

# SIGHUP alone: the next one may come before this one is through.
sub hup { my ($self) = @_; kill HUP => $self->{nginx_pid}; return $self }

1;
