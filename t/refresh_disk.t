use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# A rotated token that cannot be saved is used from memory, and saved as soon as
# that is possible: by a timer, or when the workers end.

plan skip_all => 'needs root and the user nobody' unless $> == 0 && getpwnam 'nobody';

my $true = JSON::PP::true;

sub saved { my ($t) = @_; return eval { json(Test::Kiro::slurp("$t->{dir}/state/main.json"))->{accessToken} } // '' }
sub used  { my ($t) = @_; my ($seen) = reverse $t->seen; return $seen->{headers}{authorization} =~ s/^Bearer //r }

my @nobody = (getpwnam 'nobody')[ 2, 3 ];

# [ name, what breaks the directory, what mends it ]
my @disks = (
    [
        'read-only directory',
        sub { my ($dir) = @_; chown 0, 0, $dir; chmod 0755, $dir },
        sub { my ($dir) = @_; chown @nobody, $dir; chmod 0700, $dir },
    ],
    [
        'full disk',
        sub {
            my ($dir) = @_;
            system('mount', '-t', 'tmpfs', '-o', "size=32k,mode=0700,uid=$nobody[0],gid=$nobody[1]", 'none', $dir) == 0 or return 0;
            open my $fh, '>', "$dir/ballast" or return 0;
            1 while (syswrite($fh, 'x' x 4096) // 0) > 0;
            return 1;
        },
        sub { my ($dir) = @_; unlink "$dir/ballast" },
        sub { my ($dir) = @_; system 'umount', $dir },
    ],
);

for my $disk (@disks) {
    my ($name, $break, $mend, $leave) = @$disk;
    for my $how ('by itself', 'at the end') {
        my $t = Test::Kiro->new(login => 'credentials_file', sim => ['--expired'], user => 'nobody',
            allow => qr/memory only|will not survive|cannot/);
        $t->start_sim;
        my $dir = "$t->{dir}/state";

        # nginx makes the directory right when it starts
        $t->sim(POST => 'auth', { plan => [ { hold => 'disk' } ] });
        $t->start_nginx if !$leave;
        if (!$break->($dir)) { diag "$name cannot be made here"; $t->stop; next }
        $t->start_nginx if $leave;
        ok(Test::Kiro::wait_for(10, sub { $t->stats->{held}{disk} }), "$name, $how: a refresh is on its way");
        $t->sim(POST => 'release');
        my $case = "$name, $how";
        $t->openai_object($t->openai("dunlin $case"), "$case: served from memory");
        is($t->stats->{refresh_ok}, 1, "$case: refreshed once");
        my $token = used($t);
        $t->secret($token);
        isnt(saved($t), $token, "$case: it is not saved");
        ok(scalar($t->grep_log(qr/\[crit\].*memory only/)), "$case: which is said");
        is_deeply([ grep { /\.[0-9a-f]{16}$/ } glob "$dir/.*" ], [], "$case: no half file is left");
        $t->openai_object($t->openai("dunlin again $case"), "$case: still served");
        is($t->stats->{refresh_ok}, 1, "$case: with the same token");

        $mend->($dir);
        if ($how eq 'by itself') {
            ok(Test::Kiro::wait_for(20, sub { saved($t) eq $token }), "$case: saved as soon as possible");
            ok(Test::Kiro::wait_for(5, sub { $t->grep_log(qr/the token is saved now/) }), "$case: which is said");
        }
        $t->stop_nginx;
        is(saved($t), $token, "$case: saved");
        $t->start_nginx;
        $t->openai_object($t->openai("dunlin after $case"), "$case: after a restart");
        $t->sim(POST => 'tokens', { revoke_access => $true });
        $t->openai_object($t->openai("dunlin refreshed $case"), "$case: and a refresh");
        is($t->stats->{invalid_grant}, 0, "$case: no token was lost");
        $t->stop_nginx;
        $leave->($dir) if $leave;
        $t->stop;
    }
}

done_testing;
