use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# Every kind of login from its source to an answer: refresh if needed, profile,
# models, chat; with tokens that are good, and with ones that have expired.

my $us     = 'arn:aws:codewhisperer:us-east-1:111122223333:profile/USPROFILE001';
my $eu     = 'arn:aws:codewhisperer:eu-central-1:444455556666:profile/EUPROFILE001';
my $shared = 'arn:aws:codewhisperer:us-east-1:638616132270:profile/AAAACCCCXXXX';

my @kinds = (
    { name => 'API key',          source => 'api_key_file %%API_KEY_FILE%%;', type => 'API_KEY', key => 1 },
    { name => 'social',           issue  => 'social',   arn => sub { $_[0]{profile_arn} } },
    { name => 'refresh token',    source => 'refresh_token_file %%REFRESH_TOKEN_FILE%%;', bare => 1,
      arn => sub { $_[1]{refresh_token_profile_arn} } },
    { name => 'Builder ID',       issue  => 'builder',  arn => sub { $shared }, asked => 1 },
    { name => 'Identity Center',  issue  => 'oidc',     arn => sub { $us }, asked => 2, profiles => [$us] },
    { name => 'Identity Center, in Europe', issue => 'oidc', arn => sub { $eu }, asked => 2, profiles => [$eu], region => 'eu-central-1' },
    { name => 'Identity Center, profile set', issue => 'oidc', arn => sub { $eu }, profiles => [ $us, $eu ],
      set => $eu, region => 'eu-central-1' },
    { name => 'identity provider', issue => 'external', arn => sub { $us }, asked => 2, profiles => [$us], type => 'EXTERNAL_IDP',
      own_auth => 1 },
    { name => 'identity provider, in Europe', issue => 'external', arn => sub { $eu }, asked => 2, profiles => [$eu],
      type => 'EXTERNAL_IDP', own_auth => 1, region => 'eu-central-1' },
);

my $conf = <<'EOT';
    upstream kiro_us-east-1    { server 127.0.0.1:%%TLS_PORT%% max_fails=0; keepalive 4; }
    upstream kiro_eu-central-1 { server 127.0.0.1:%%EU_TLS_PORT%% max_fails=0; keepalive 4; }

    kiro_account main {
        %%LOGIN%%
        state_path %%STATE%%;
        endpoint "https://kiro_{region}";
        management_endpoint https://127.0.0.1:%%TLS_PORT%%;
        %%AUTH%%
        ssl_name "runtime.{region}.kiro.dev";
        ssl_trusted_certificate %%CA%%;
    }

    server {
        listen 127.0.0.1:%%PORT%%;
        location /v1/ { kiro_pass main; }
        location = /health { kiro_health; }
    }
EOT

for my $expired (0, 1) {
    for my $kind (@kinds) {
        next if $expired && $kind->{key};
        my $name = $kind->{name} . ($expired ? ', expired' : '');
        my $t = Test::Kiro->new(sim => $expired ? ['--expired'] : [], conf => $conf);
        $t->start_sim;
        my $i = $t->{simulator};
        my ($login, $record) = ($kind->{source});
        if ($kind->{issue}) {
            my $got = $t->sim(POST => 'tokens', {
                issue => $kind->{issue},
                $kind->{profiles} ? (profiles => [ map { { arn => $_, profileName => 'Team' } } @{ $kind->{profiles} } ]) : (),
            });
            $t->secret(@{ $got->{credentials} }{qw(accessToken refreshToken)});
            $record = $got;
            $login  = "credentials_file $got->{file};";
            $login .= " profile_arn $kind->{set};" if $kind->{set};
        }
        $t->sim(POST => 'tokens', { expire => JSON::PP::true }) if $expired;
        $t->{vars} = {
            LOGIN => $login, AUTH => 'auth_endpoint https://localhost:%%TLS_PORT%%' . ($kind->{own_auth} ? '/oauth2/v2.0/token;' : ';'),
        };
        if ($expired && $kind->{issue}) {

            # the file says so, too
            my $file = json(Test::Kiro::slurp($record->{file}));
            Test::Kiro::spew($record->{file}, json({ %$file, expiresAt => '2026-01-01T00:00:00Z' }));
        }
        $t->start_nginx;

        my $models = $t->get('/v1/models');
        is($models->{status}, 200, "$name: the models");
        my $chat = $t->openai_object($t->openai("hello from $name"), "$name: a chat");
        like($chat->{text}, qr/hello from/, "$name: its answer");

        my @asked = @{ $t->sim(GET => 'log?op=profiles') };
        is(scalar @asked, $kind->{asked} // 0, "$name: questions for the profile");
        is($t->stats->{refresh_ok}, $expired || $kind->{bare} ? 1 : 0, "$name: refreshes");
        my $arn = $kind->{arn} && $kind->{arn}->($record, $i);
        my ($seen) = $t->seen;
        is($seen->{body}{profileArn}, $arn, "$name: the profile that is sent");
        is($seen->{headers}{tokentype}, $kind->{type}, "$name: TokenType");
        is($seen->{region}, $kind->{region} // 'us-east-1', "$name: the region that is asked");
        my @list = grep { $_->{status} == 200 } @{ $t->sim(GET => 'log?op=models') };
        is(scalar @list, 1, "$name: the list of models came at once");
        is($list[0]{region}, $kind->{region} // 'us-east-1', "$name: from the same region");
        is($list[0]{body}{profileArn}, $arn, "$name: for the same profile");
        is(scalar(grep { $_->{status} != 200 && $_->{op} ne 'profiles' } @{ $t->sim(GET => 'log') }), 0, "$name: and nothing was refused");
        is_deeply([ grep { ($_->{headers}{tokentype} // q{}) ne ($kind->{type} // q{}) } @asked ], [], "$name: all questions say what they are");

        # What was learnt outlives a restart, without being the user's profile where it is not.
        if ($kind->{asked}) {
            my $file = "$t->{dir}/state/main.profile";
            ok(Test::Kiro::wait_for(5, sub { -s $file }), "$name: the profile is kept");
            is(sprintf('%04o', (stat $file)[2] & 07777), '0600', "$name: for its owner alone");
            my $text = Test::Kiro::slurp($file);
            is(index($text, $arn) >= 0 ? 1 : 0, $arn eq $shared ? 0 : 1, "$name: if it is the user's own");
            unlike(Test::Kiro::slurp("$t->{dir}/state/main.json"), qr/arn:aws/, "$name: and not as the login's own");
            unlike($t->error_log, qr/\Q$arn\E/, "$name: no ARN in the log");
            $t->restart;
            $t->openai_object($t->openai("hello again from $name"), "$name: after a restart");
            is(scalar @{ $t->sim(GET => 'log?op=profiles') }, $kind->{asked}, "$name: nobody was asked again");
            is(($t->seen)[-1]{body}{profileArn}, $arn, "$name: the same profile");
        }

        # And a refresh in between does not change it.
        unless ($kind->{key}) {
            $t->sim(POST => 'tokens', { revoke_access => JSON::PP::true });
            $t->openai_object($t->openai("once more from $name"), "$name: after a refresh");
            is(($t->seen)[-1]{body}{profileArn}, $arn, "$name: the profile is the same");
            is($t->stats->{invalid_grant}, 0, "$name: and the refresh token was the right one");
        }
        $t->stop;
    }
}

done_testing;
