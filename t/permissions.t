use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256_hex);
use Test::More;
use Test::Kiro;

# Who may read what: nginx is started by root, its workers run as www-data.

plan skip_all => 'only root can give files to users' if $> != 0;

my ($worker) = grep { defined getpwnam $_ } qw(www-data nobody);
my ($uid, $gid) = (getpwnam $worker)[ 2, 3 ];
my ($stranger) = map { (getpwnam $_)[2] } grep { defined getpwnam $_ } qw(daemon bin);

sub said { my ($t, $re) = @_; return scalar $t->grep_log($re) }
sub soon { my ($t, $re) = @_; return Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { said($t, $re) }) }

# A login in a directory of its own; the simulator's is closed to all but root.
sub setup {
    my (%o) = @_;
    my $t = Test::Kiro->new(login => 'credentials_file', user => $worker, sim => ['--expired'], %o);
    $t->start_sim;
    mkdir "$t->{dir}/login", 0755 or die $!;
    $t->{source_file} = "$t->{dir}/login/kiro-auth-token.json";
    Test::Kiro::spew($t->{source_file}, Test::Kiro::slurp($t->{simulator}{credentials}), 0600);
    return $t;
}

sub issue {
    my ($t) = @_;
    my $new = $t->sim(POST => 'tokens', { issue => 'social' })->{credentials};
    $t->secret(@$new{qw(accessToken refreshToken)});
    return $new;
}

# --- sources that are too open -----------------------------------------------------------------------------------

{
    my $t = setup(allow => qr/by every user/);
    for my $mode (0644, 0604, 0602) {
        chmod $mode, $t->{source_file};
        my ($status, $out) = $t->test_config;
        my $octal = sprintf '%04o', $mode;
        isnt($status, 0, "$octal: refused");
        like($out, qr/\[emerg\].*\Q$t->{source_file}\E can be (?:read|written) by every user of this machine \(mode $octal\): chmod o-rwx/,
            "$octal: the reason, and what to do");
        $t->{account} = 'allow_exposed_files on;';
        ($status, $out) = $t->test_config;
        is($status, 0, "$octal: allowed");
        $t->{account} = '';
    }
    $t->{account} = 'allow_exposed_files on;';
    $t->start_nginx;
    cmp_ok(said($t, qr/\[warn\].*"main".*can be written by every user/), '>=', 1, 'allowed, with a warning at the start');
    $t->openai_object($t->openai('hello with an open file'), 'and used');
    $t->stop;
}

# --- sources of several owners -----------------------------------------------------------------------------------

for my $case (
    # name, owner, group, mode, mode of the directory, what a worker's look finds
    [ 'of root alone',              0,    0,    0600, 0755, 0 ],
    [ 'of the workers',             $uid, $gid, 0600, 0755, 1 ],
    [ 'of root and their group',    0,    $gid, 0640, 0755, 1 ],
    [ 'in a directory of root',     $uid, $gid, 0600, 0700, 0 ],
    [ 'in a directory of the group', $uid, $gid, 0600, 0750, 1, $gid ],
) {
    my ($name, $owner, $group, $mode, $above, $seen, $above_group) = @$case;
    my $t = setup();
    chown $owner, $group, $t->{source_file};
    chmod $mode,  $t->{source_file};
    chown 0, $above_group // 0, "$t->{dir}/login";
    chmod $above, "$t->{dir}/login";
    $t->start_nginx;
    is(said($t, qr/\[notice\].*"main": Kiro Desktop login/), 1, "$name: the master reads it");
    $t->openai_object($t->openai("hello, $name"), "$name: the first request refreshes");
    my $unread = qr/\[warn\].*"main": cannot open \Q$t->{source_file}\E: Permission denied; the login that is known is kept/;
    is(said($t, $unread), $seen ? 0 : 1, "$name: what the worker's look found");

    # A look before each refresh: what cannot be read is told once, a new login is taken where it can be.
    $t->sim(POST => 'tokens', { revoke_access => JSON::PP::true });
    $t->openai_object($t->openai("hello once more, $name"), "$name: and the second");
    is(said($t, $unread), $seen ? 0 : 1, "$name: told once");
    my $new = issue($t);
    Test::Kiro::spew($t->{source_file}, json($new));
    $t->reload;
    $t->openai_object($t->openai("hello with a new login, $name"), "$name: a new login after a reload");
    is(($t->seen)[-1]{headers}{authorization}, "Bearer $new->{accessToken}", "$name: the new one is used");

    # Its refresh does not go back to the state of the login before.
    $t->sim(POST => 'tokens', { revoke_access => JSON::PP::true });
    $t->openai_object($t->openai("hello with the new login refreshed, $name"), "$name: the new login is refreshed");
    my $mark = substr sha256_hex($new->{refreshToken}), 0, 32;
    ok(Test::Kiro::wait_for(5, sub { index(Test::Kiro::slurp("$t->{dir}/state/main.json"), $mark) >= 0 }), "$name: and its state is kept");
    is($t->stats->{invalid_grant}, 0, "$name: no refresh token was sent twice");

    # What becomes too open later is not taken by a worker either.
    if ($seen && $owner) {
        chmod 0644, $t->{source_file};
        $t->sim(POST => 'tokens', { revoke_access => JSON::PP::true });
        $t->openai_object($t->openai("hello with an open file, $name"), "$name: opened to all, the known login is kept");
        is(said($t, qr/\[warn\].*can be read by every user.*the login that is known is kept/), 1, "$name: and why is told");
    }
    is((stat "$t->{dir}/state/main.json")[4], $uid, "$name: the state is the workers'");
    $t->stop;
}

# --- state_path --------------------------------------------------------------------------------------------------

for my $case (
    [ 'not there',       sub { rmdir $_[0] } ],
    [ 'of root',         sub { chown 0, 0, $_[0] } ],
    [ 'of the workers',  sub { chown $uid, $gid, $_[0] } ],
    [ 'a link of root',  sub { rename $_[0], "$_[0].real"; symlink "$_[0].real", $_[0] } ],
) {
    my ($name, $make) = @$case;
    my $t = setup();
    $make->("$t->{dir}/state");
    $t->start_nginx;
    my @info = stat "$t->{dir}/state";
    is($info[4], $uid, "state_path, $name: belongs to the workers");
    is(sprintf('%04o', $info[2] & 07777), '0700', "state_path, $name: to them alone");
    $t->openai_object($t->openai("hello with state_path $name"), "state_path, $name: a request");
    my $file = "$t->{dir}/state/main.json";
    ok(Test::Kiro::wait_for(5, sub { -s $file }), "state_path, $name: is written");
    is(sprintf('%04o', (stat $file)[2] & 07777), '0600', "state_path, $name: the file, too, is theirs alone");

    # Restored from somewhere with another mode: closed again, and not lost.
    if ($name eq 'of the workers') {
        $t->stop_nginx;
        chmod 0644, $file;
        $t->start_nginx;
        is(said($t, qr/\[warn\].*main\.json can be read by every user.*it was closed to them/), 1, 'an open state file is told');
        is(sprintf('%04o', (stat $file)[2] & 07777), '0600', 'and closed');
        $t->openai_object($t->openai('hello after closing the state'), 'and used');
        is($t->stats->{refresh_ok}, 1, 'without another refresh');
    }
    $t->stop;
}

for my $case (
    [ 'open to write',    sub { chmod 01777, $_[0] }, qr/every user of this machine may write there/ ],
    [ 'of a third user',  sub { chown $stranger, -1, $_[0] }, qr/belongs to another user/ ],
    [ "a stranger's link", sub { rename $_[0], "$_[0].real"; symlink "$_[0].real", $_[0]; system 'chown', '-h', $stranger, $_[0] },
        qr/symbolic link that another user made/ ],
    [ 'a file',           sub { rmdir $_[0]; Test::Kiro::spew($_[0], '') }, qr/is not a directory/ ],
) {
    my ($name, $make, $reason) = @$case;
    my $t = setup(allow => qr/state_path|state/);
    $make->("$t->{dir}/state");
    my ($status, $out) = $t->test_config;
    isnt($status, 0, "state_path, $name: refused");
    like($out, qr/\[emerg\].*"main".*$reason/, "state_path, $name: why");
    $t->{account} = 'allow_exposed_files on;';
    ($status) = $t->test_config;
    isnt($status, 0, "state_path, $name: also with allow_exposed_files");
    $t->stop;
}

# Its files are closed themselves.
{
    my $t = setup();
    chmod 0755, "$t->{dir}/state";
    my ($status, $out) = $t->test_config;
    is($status, 0, 'state_path, open to look: taken');
    like($out, qr/\[warn\].*"main".*every user of this machine may look into \S+, chmod 700 it/, 'state_path, open to look: told');
    $t->stop;
}

# The workers cannot enter the directory above: told at the start, requests are served.
{
    my $t = setup(allow => qr/state|will not survive/);
    mkdir "$t->{dir}/above", 0700 or die $!;
    $t->{vars} = { STATE => "$t->{dir}/above/state" };
    $t->start_nginx;
    ok(soon($t, qr{\[crit\].*"main": cannot write in \S+/above/state: Permission denied; refreshed tokens will not}), 'told at the start');
    is(said($t, qr/refreshed tokens will not survive a restart: the user/), 1, 'once');
    $t->openai_object($t->openai('hello without a state'), 'and requests are served');
    $t->stop;
}

# --- a database with a write-ahead log, of another user ----------------------------------------------------------

SKIP: {
    my ($sqlite) = grep { -x } map { "$_/sqlite3" } split /:/, $ENV{PATH};
    skip 'no sqlite3', 1 unless $sqlite;
    for my $case ([ 'of a third user', 0600, 0 ], [ "readable by the workers' group", 0640, 1 ]) {
        my ($name, $mode, $seen) = @$case;
        my $t = setup();
        my $home = "$t->{dir}/home";
        my $db   = "$home/data.sqlite3";
        mkdir $home, 0750 or die $!;
        my $value = json(issue($t)) =~ s/'/''/gr;
        open my $sql, '|-', $sqlite, $db or die "$sqlite: $!";
        print {$sql} "PRAGMA journal_mode=WAL; CREATE TABLE auth_kv (key TEXT PRIMARY KEY, value TEXT);"
            . "INSERT INTO auth_kv VALUES ('kirocli:social:token', '$value');\n";
        close $sql or die "$sqlite: $?";
        chown $stranger, $gid, $home, glob "$db*";
        chmod $mode, glob "$db*";
        my @before = sort glob "$home/*";
        $t->{vars} = { SOURCE => "credentials_db $db;" };
        $t->start_nginx;
        $t->openai_object($t->openai("hello from a database $name"), "database $name: a request");
        $t->sim(POST => 'tokens', { revoke_access => JSON::PP::true });
        $t->openai_object($t->openai("hello again from a database $name"), "database $name: after a look by a worker");
        is(said($t, qr/\[notice\].*"main": Kiro Desktop login \(row "kirocli:social:token"/), 1, "database $name: the master reads it");
        is(said($t, qr/\[warn\].*data\.sqlite3.*Permission denied; the login that is known is kept/), $seen ? 0 : 1,
            "database $name: the worker's look");
        is_deeply([ sort glob "$home/*" ], \@before, "database $name: no file is left beside it");
        is_deeply([ grep { (stat $_)[4] != $stranger } glob "$home/*" ], [], "database $name: all is the owner's");
        $t->stop;
    }
}

done_testing;
