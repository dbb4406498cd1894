use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256_hex);
use File::Temp qw(tempdir);
use Test::More;
use Test::Kiro;

# What the Debian package and the container image are made of. tools/package-trial builds and installs the package.

my $root   = Test::Kiro::root();
my $debian = "$root/tools/debian";
my $name   = 'libnginx-mod-http-kiro';

sub slurp { return Test::Kiro::slurp("$root/$_[0]") }

# --- one version -----------------------------------------------------------

my ($version) = slurp('src/nginx/ngx_http_kiro.h') =~ /NGX_HTTP_KIRO_VERSION\s+"([^"]+)"/;
like($version, qr/^\d+(?:\.\d+)+$/, 'the version of the module');
my ($changelog) = slurp('tools/debian/changelog') =~ /\A\Q$name\E \((\S+)-\d+\) unstable; urgency=\w+\n/;
is($changelog, $version, '... of the package');
my ($cmake) = slurp('CMakeLists.txt') =~ /^project\(ngx_kiro VERSION (\S+)/m;
is($cmake, $version, '... of the core');

# --- what is packed exists -------------------------------------------------

for my $list (qw(docs examples manpages)) {
    my @patterns = split ' ', slurp("tools/debian/$name.$list");
    cmp_ok(scalar @patterns, '>', 0, "$list: there are some");
    for my $pattern (@patterns) {
        my @files = grep { -f } glob "$root/$pattern";
        cmp_ok(scalar @files, '>', 0, "$list: $pattern");
    }
}
for my $file (slurp('tools/debian/copyright') =~ /^Files: (?!\*)(.*)$/mg, slurp('tools/debian/rules') =~ m{debian/(kiro\.\w+)}g) {
    ok(-f "$root/$file" || -f "$debian/$file", "$file is there");
}

# --- built from what it needs ----------------------------------------------

my %package = (simdjson => 'libsimdjson-dev', sqlite3 => 'libsqlite3-dev', ssl => 'libssl-dev', crypto => 'libssl-dev', z => 'zlib1g-dev');
my ($libs)  = slurp('config') =~ /^ngx_module_libs="(.*)"$/m;
my ($build) = slurp('tools/debian/control') =~ /^Build-Depends:\n((?: .*\n)+)/m;
my $docker = slurp('tools/docker/Dockerfile');
for my $lib (grep { !/^(?:stdc\+\+|m)$/ } $libs =~ /-l(\S+)/g) {
    my $needed = $package{$lib};
    ok(defined $needed, "-l$lib: its package is known here") or next;
    like($build, qr/^ \Q$needed\E,$/m, "... $needed is in Build-Depends");
    like($docker, qr/\s\Q$needed\E\s/, '... and in the Dockerfile');
}
like($build, qr/^ \Q$_\E,$/m, "$_ is in Build-Depends") for qw(cmake dh-sequence-nginx);

# A file that config does not name is not compiled, or not again when it has changed.
my $config  = slurp('config');
my @unnamed = grep { index($config, $_) < 0 } map { s{^\Q$root\E/}{}r =~ s{^src/nginx/|^include/}{}r } glob "$root/{src/nginx,include/kiro}/*.[ch]";
is("@unnamed", '', 'config names every source and header of the module');

# --- its scripts -----------------------------------------------------------

for my $script (glob("$debian/*.p[or]*[mt]"), "$debian/tests/smoke", "$root/tools/lib/trial.sh") {
    is(system('sh', '-n', $script), 0, "$script is a shell script");
}
is(system('bash', '-n', "$root/$_"), 0, "$_ is a shell script") for qw(tools/package tools/package-trial tools/docker/healthy tools/docker/trial);
ok(-x "$root/$_", "$_ can be run") for qw(tools/package tools/package-trial tools/debian/rules tools/debian/tests/smoke tools/docker/healthy tools/docker/trial);

# A removal disables the package's site and leaves another one of that name.
my $etc = tempdir(CLEANUP => 1);
mkdir "$etc/$_" for qw(sites-available sites-enabled);
my $prerm = slurp("tools/debian/$name.prerm") =~ s{/etc/nginx}{$etc}gr;
for (
    [ '../sites-available/kiro',       'remove',  0, 'the site, and the package goes' ],
    [ "$etc/sites-available/kiro",     'remove',  0, 'the site by its whole path' ],
    [ '../sites-available/kiro-of-me', 'remove',  1, 'another site' ],
    [ '../sites-available/kiro',       'upgrade', 1, 'the package is upgraded' ],
  )
{
    my ($target, $why, $stays, $what) = @$_;
    my $link = "$etc/sites-enabled/kiro";
    unlink $link;
    Test::Kiro::spew("$etc/sites-available/$_", "\n", 0644) for qw(kiro kiro-of-me);
    symlink $target, $link or die "symlink: $!";
    is(system('sh', '-c', $prerm, 'prerm', $why), 0, "prerm: $what");
    is(-l $link ? 1 : 0, $stays, $stays ? '... and stays' : '... and is disabled');
    is(system('sh', '-c', $prerm, 'prerm', $why), 0, '... once more');
}

# What the image is built in has no key, and what holds one is not in the image's sources.
my %ignored = map { $_ => 1 } split ' ', slurp('tools/docker/Dockerfile.dockerignore');
my @mounted = $docker =~ m{"\$PWD/([\w-]+):}g;
is(scalar @mounted, 2, 'the key and the clients\' keys are mounted');
ok($ignored{$_}, "... $_ is not copied into the image's sources") for @mounted;

# --- its site and the image's configuration serve ---------------------------

my $CA = 'ssl_trusted_certificate %%CA%%; ssl_name localhost; management_endpoint %%ENDPOINT%%;';
my @places = (
    [ qr{\bruntime\.us-east-1\.kiro\.dev:443 max_fails=0}      => '%%SERVER%%' ],
    [ qr{\blisten (?:127\.0\.0\.1:)?8000\b}                    => 'listen 127.0.0.1:%%PORT%%' ],
    [ qr{(?:/etc/nginx/kiro/|/run/secrets/kiro-)api-key;}      => '%%API_KEY_FILE%%;' ],
    [ qr{(?:/etc/nginx/kiro/|/run/secrets/kiro-)keys;}         => '%%FILES%%/keys;' ],
    [ qr{^\s*\w+_temp_path .*\n}m                              => '' ],
    [ qr{\blog_format kiro\b}                                  => 'log_format image' ],
    [ qr{/dev/stdout kiro;}                                    => '%%DIR%%/logs/image.log image;' ],
    [ qr{\bkiro_account main \{}                               => "kiro_account main { $CA" ],
);
my ($image) = slurp('tools/docker/nginx.conf') =~ /^http \{\n(.*)^\}/ms;

for ([ site => slurp('tools/debian/kiro.site'), '/health' ], [ image => $image, '/live', '/ready' ]) {
    my ($what, $http, @health) = @$_;
    for (@places) {
        my ($from, $to) = @$_;
        $http =~ s/$from/$to/g;
    }
    # the service itself, which not every machine can look up
    $http =~ s/\bkiro_account main \{/kiro_account main { endpoint %%ENDPOINT%%;/ unless $http =~ /^\s*endpoint /m;
    is(join("\n", grep { !/^\s*#/ && m{\s/(?:etc|var|usr|run|tmp|dev)/} } split /\n/, $http), '', "$what: every place is known here");
    my $t = Test::Kiro->new(conf => $http, login => 'api_key_file');
    Test::Kiro::spew("$t->{dir}/files/keys", 'alice:' . sha256_hex('sk-alice') . "\n", 0600);
    $t->start_sim;
    $t->start_nginx;
    $t->openai_object($t->openai("hello, $what", headers => [ Authorization => 'Bearer sk-alice' ]), "$what: served");
    is($t->openai("hello, $what", headers => [ Authorization => 'Bearer sk-eve' ])->{status}, 401, "$what: not without a key");
    is($t->get($_)->{status}, 200, "$what: $_") for @health;
    $t->stop;
}

done_testing;
