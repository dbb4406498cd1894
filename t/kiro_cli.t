use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use Test::More;
use Test::Kiro;

# One login in the database of kiro-cli, which writes to it while nginx refreshes: no
# client hears of a lock, and nothing that anybody wrote is lost.

my $script = "$FindBin::Bin/lib/kiro_cli.py";
my ($python) = grep { !system "$_ -c 'import sqlite3' >/dev/null 2>&1" } qw(python3 /usr/bin/python3);
plan skip_all => 'no python3 with its sqlite3 module' if !$python;

my $patience = Test::Kiro::patience();

# kiro-cli in the background: started() when it has said its first word, then end().
sub cli {
    my ($t, @args) = @_;
    open my $out, '-|', $python, $script, $args[0], $t->{db}, @args[ 1 .. $#args ] or die "$python: $!";
    return $out;
}

sub started { my ($out) = @_; my $line = readline($out) // ''; chomp $line; return $line }

sub finish {
    my ($out, $name) = @_;
    my @lines = readline $out;
    close $out;
    is($?, 0, "$name: kiro-cli got every lock");
    chomp(my $last = $lines[-1] // '');
    return $last;
}

sub cli_run { my ($t, @args) = @_; return finish(cli($t, @args), "$args[0]") }
sub show    { my ($t) = @_; return json(cli_run($t, 'show')) }

sub issue {
    my ($t) = @_;
    my $login = $t->sim(POST => 'tokens', { issue => 'social' })->{credentials};
    $t->secret(@$login{qw(accessToken refreshToken)});
    return $login;
}

sub expire { $_[0]->sim(POST => 'tokens', { expire => JSON::PP::true }) }

# Simulator, database and nginx. The database is in a directory of its own.
sub setup {
    my ($journal, %o) = @_;
    my $t = Test::Kiro->new(login => 'credentials_file', %o);
    $t->start_sim;
    mkdir "$t->{dir}/home", 0700 or die $!;
    $t->{db}   = "$t->{dir}/home/data.sqlite3";
    $t->{vars} = { SOURCE => "credentials_db $t->{db};" };
    $t->{first} = issue($t);
    cli_run($t, create => $journal, json($t->{first}));
    $t->start_nginx unless $o{later};
    return $t;
}

sub sent { my ($t) = @_; return ($t->seen)[-1]{headers}{authorization} =~ s/^Bearer //r }

sub requests {
    my ($t, $n, $name) = @_;
    my @x = map { $t->openai_x("$name $_") } 1 .. $n;
    $t->run(60, @x);
    $t->openai_object($x[$_], "$name, request $_") for 0 .. $#x;
    return;
}

sub intact {
    my ($t, $name, $journal) = @_;
    my $now = show($t);
    is_deeply($now->{keys}, ['kirocli:social:token'], "$name: the same key");
    is($now->{theirs}, '00FF', "$name: the state is untouched");
    is_deeply($now->{login}{theirs}, { kept => [ 1.5, undef ] }, "$name: and the members that nobody knows");
    is($now->{journal}, $journal, "$name: the same journal");
    is($now->{check}, 'ok', "$name: the database is sound");
    $t->secret(@{ $now->{login} }{qw(access_token refresh_token)});
    return $now;
}

for my $journal (qw(delete wal)) {
    for my $back ('on', 'off') {
        my $name = "$journal, write_back $back";
        my $t = setup($journal, account => "write_back $back;");

        # It writes all the time.
        my $end = "$t->{dir}/enough";
        my $cli = cli($t, busy => $end);
        is(started($cli), 'busy', "$name: kiro-cli is busy");
        for my $round (1 .. 3) {
            expire($t);
            requests($t, 8, "$name, busy round $round");
        }
        is($t->stats->{refresh_ok}, 3, "$name: three refreshes");
        Test::Kiro::spew($end, '');
        my $written = finish($cli, "$name, busy");
        my $now = intact($t, "$name, busy", $journal);
        cmp_ok($written, '>', 0, "$name: it wrote");
        is($now->{history}, $written, "$name: all of it is there");
        is($now->{login}{access_token} eq sent($t) ? 'ours' : 'theirs', $back eq 'on' ? 'ours' : 'theirs',
            "$name: whose token is in the database");

        if ($back eq 'on') {
            # kiro-cli goes on with what nginx wrote, and nginx with what kiro-cli wrote.
            expire($t);
            is(cli_run($t, rotate => $t->{simulator}{port}), 'rotated', "$name: kiro-cli is still logged in");
            is(scalar($t->grep_log(qr/looks like the login of kiro-cli/)), 0, "$name: no hazard");
            requests($t, 2, "$name, after theirs");
            is(sent($t), show($t)->{login}{access_token}, "$name: its token is used");
            expire($t);
            requests($t, 2, "$name, and ours again");
            is($t->stats->{invalid_grant}, 0, "$name: no spent token was ever sent");
            is(show($t)->{login}{access_token}, sent($t), "$name: and the database has the newest");
        }
        else {
            is($now->{login}{refresh_token}, $t->{first}{refreshToken}, "$name: nothing was written");
            is(scalar($t->grep_log(qr/\[notice\].*data\.sqlite3 looks like the login of kiro-cli/)), 1, "$name: the log names the hazard");
            expire($t);
            is(cli_run($t, rotate => $t->{simulator}{port}), 'logged out', "$name: the hazard that the docs tell of");
            requests($t, 2, "$name, with the state alone");
        }
        $t->stop;
    }

    # Locked for longer than nginx waits.
    for my $mode (qw(IMMEDIATE EXCLUSIVE)) {
        my $name = "$journal, $mode";
        my $t = setup($journal, account => 'write_back on;', allow => qr/"write_back" failed: .*locked by another program/);
        my $cli = cli($t, hold => $mode, 5 * $patience);
        is(started($cli), 'held', "$name: it is locked");
        expire($t);
        requests($t, 4, "$name, locked");
        is(scalar($t->grep_log(qr/"write_back" failed/)), 1, "$name: the log says once that it could not be written");
        is(finish($cli, $name), 'released', "$name: the end of the transaction");
        ok(Test::Kiro::wait_for(20 * $patience, sub { $t->grep_log(qr/has the refreshed token/) }), "$name: then it is written");
        my $now = intact($t, $name, $journal);
        is($now->{login}{access_token}, sent($t), "$name: with the token in use");
        is($now->{history}, 1, "$name: and what was held is there");
        is($t->stats->{refresh}, 1, "$name: one refresh");
        is(cli_run($t, rotate => $t->{simulator}{port}), 'rotated', "$name: kiro-cli is still logged in");
        $t->stop;
    }

    # Workers are killed while they wait for the lock, behind the state file: others go on with it.
    {
        my $name = "$journal, kill -9";
        my $t = setup($journal, account => 'write_back on;', allow => qr/exited on signal 9|locked by another program/);
        my $state = "$t->{dir}/state/main.json";
        my $cli = cli($t, hold => 'IMMEDIATE', 5 * $patience);
        is(started($cli), 'held', "$name: it is locked");
        expire($t);
        my $x = $t->openai_x($name);
        $t->turn(0.2, $x);
        ok(Test::Kiro::wait_for(10 * $patience, sub { $t->turn(0.02, $x); -e $state }), "$name: the state is written");
        my @old = $t->workers;
        kill KILL => @old;
        is(finish($cli, $name), 'released', "$name: the end of the transaction");
        ok(Test::Kiro::wait_for(20 * $patience, sub { $t->grep_log(qr/has the refreshed token/) }), "$name: other workers write it");
        requests($t, 2, "$name, afterwards");
        is(intact($t, $name, $journal)->{login}{access_token}, sent($t), "$name: the database has the token in use");
        is($t->stats->{refresh}, 1, "$name: from the one refresh");
        is(cli_run($t, rotate => $t->{simulator}{port}), 'rotated', "$name: kiro-cli is still logged in");
        $t->stop;
    }

    # Somebody else rotates: between the auth host's answer and the commit nginx cannot know.
    for my $back ('on', 'off') {
        my $name = "$journal, write_back $back, theirs is on its way";
        my $t = setup($journal, account => "write_back $back;");
        expire($t);
        my $cli = cli($t, rotate => $t->{simulator}{port}, 0.7);
        is(started($cli), 'asked', "$name: the old token is spent");
        requests($t, 4, $name);
        finish($cli, $name);
        my $now = intact($t, $name, $journal);
        ok($t->stats->{invalid_grant} <= 1, "$name: the spent token was sent once at most");
        is($t->stats->{refresh_ok} + 0 >= 1 ? 1 : 0, 1, "$name: theirs is a refresh");
        is(cli_run($t, rotate => $t->{simulator}{port}), 'rotated', "$name: kiro-cli is still logged in");
        requests($t, 1, "$name, afterwards");
        $t->stop;
    }

    # Another login comes while nginx waits for the auth host.
    for my $back ('on', 'off') {
        my $name = "$journal, write_back $back, another login";
        my $t = setup($journal, account => "write_back $back;");
        $t->sim(POST => 'auth', { plan => [ { hold => 'auth' } ] });
        expire($t);
        my $x = $t->openai_x($name);
        $t->turn(0.3, $x);
        Test::Kiro::wait_for(5 * $patience, sub { $t->stats->{refresh} >= 1 });
        my $new = issue($t);
        cli_run($t, login => json($new));
        $t->sim(POST => 'release', { name => 'auth' });
        $t->run(60, $x);
        $t->openai_object($x, $name);
        my $now = intact($t, $name, $journal);
        is($now->{login}{refresh_token}, $new->{refreshToken}, "$name: it is not overwritten");
        is(sent($t), $new->{accessToken}, "$name: it is used at once") if $back eq 'on';
        $t->restart;
        requests($t, 1, "$name, after a restart");
        is(sent($t), $new->{accessToken}, "$name: it is used");
        $t->stop;
    }
}

sub files { my ($t) = @_; return join ' ', sort map { s{.*/}{}r } glob "$t->{dir}/home/*" }

# Workers that are not the owner of the database: nothing of theirs appears beside it, and the
# state file is enough. Only root can be two users.
SKIP: {
    skip 'only root starts workers of another user', 1 if $>;
    for my $journal (qw(delete wal)) {
        for my $live (0, 1) {
            my $name = "$journal, other user" . ($live ? ', kiro-cli runs' : '');
            my $t = setup($journal, user => 'nobody', account => 'write_back on;', later => 1,
                allow => qr/"write_back" cannot work|"write_back" failed: .*another user/);
            # Their group can read and write everything: that is no reason.
            chown 0, (getpwnam 'nobody')[3], "$t->{dir}/home", $t->{db};
            chmod 0770, "$t->{dir}/home" or die $!;
            chmod 0660, $t->{db} or die $!;
            my $end = "$t->{dir}/enough";
            my $cli = $live && cli($t, busy => $end);
            started($cli) if $cli;
            $t->start_nginx;
            my $before = files($t);
            expire($t);
            requests($t, 4, $name);
            Test::Kiro::spew($end, '');
            finish($cli, $name) if $cli;
            is(scalar($t->grep_log(qr/\[crit\].*"write_back" cannot work: .*set "user" to its owner/)), 1, "$name: the log says so at the start");
            is(scalar($t->grep_log(qr/"write_back" failed: .*belongs to another user/)), 1, "$name: and once at a refresh");
            is(files($t), $live ? 'data.sqlite3' : $before, "$name: no other file") if $journal eq 'delete' || !$live;
            my @foreign = grep { (stat $_)[4] != 0 } glob "$t->{dir}/home/*";
            is_deeply(\@foreign, [], "$name: none of another owner");
            my $now = intact($t, $name, $journal);
            is($now->{login}{refresh_token}, $t->{first}{refreshToken}, "$name: nothing was written");
            $t->restart;
            requests($t, 1, "$name, after a restart");
            is($t->stats->{invalid_grant}, 0, "$name: the state had the rotated token");
            $t->stop;
        }
    }
}

# A read-only mount, in a mount namespace of this process.
SKIP: {
    my $unshare = { x86_64 => 272, aarch64 => 97 }->{ (POSIX::uname())[4] };
    skip 'no mounts here', 1
        if $> || !$unshare || syscall($unshare, 0x20000) || system 'mount --make-rprivate / 2>/dev/null';
    for my $journal (qw(delete wal)) {
        for my $back ('on', 'off') {
            my $name = "$journal, write_back $back, read-only mount";
            my $t = setup($journal, account => "write_back $back;", later => 1,
                allow => qr/"write_back" failed: .*cannot be written: Read-only file system/);
            my $home = "$t->{dir}/home";
            system("mount --bind $home $home && mount -o remount,ro,bind $home") == 0 or die "mount: $?";
            $t->start_nginx;
            requests($t, 2, $name);
            expire($t);
            requests($t, 2, "$name, expired");
            is($t->stats->{refresh_ok}, 1, "$name: one refresh");
            is(scalar($t->grep_log(qr/"write_back" failed/)), $back eq 'on' ? 1 : 0, "$name: the log says why the database has the old token");
            is(files($t), 'data.sqlite3', "$name: no other file");
            $t->restart;
            requests($t, 1, "$name, after a restart");
            is($t->stats->{invalid_grant}, 0, "$name: the state had the rotated token");
            system('umount', $home) == 0 or die "umount: $?";
            $t->stop;
        }
    }
}

done_testing;
