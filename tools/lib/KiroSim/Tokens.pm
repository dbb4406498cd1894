package KiroSim::Tokens;

# Logins and the tokens issued for them. A login: {kind, provider, arn, profiles, client}; kinds: social, oidc, builder, external, api_key.

use v5.36;
use Digest::SHA qw(sha256_base64 sha1_hex);
use POSIX ();
use Time::HiRes ();

my %KIND = (
    social  => { provider => 'Google',     method => 'social', arn => 'arn:aws:codewhisperer:us-east-1:699475941385:profile/EHGA3GRVQMUK' },
    oidc    => { provider => 'Enterprise', method => 'IdC',    arn => 'arn:aws:codewhisperer:us-east-1:000000000000:profile/SIMULATED000' },
    builder => { provider => 'BuilderId',  method => 'IdC',    arn => 'arn:aws:codewhisperer:us-east-1:638616132270:profile/AAAACCCCXXXX' },
    external => { provider => 'ExternalIdp', method => 'external_idp', arn => 'arn:aws:codewhisperer:us-east-1:000000000001:profile/SIMULATED001' },
);
my $SCOPES = 'api://simulated/codewhisperer:conversations offline_access';

sub new ($class, %opt) {
    my $self = bless { ttl => $opt{ttl} // 3600, first_ttl => $opt{ttl} // 3600, access => {}, refresh => {}, logins => 0,
                       seed => _entropy(), count => 0, signatures => {} }, $class;
    $self->{client} = { id => $self->_random(22), secret => 'sim' . $self->_random(180) };
    $self->{client}{hash} = sha1_hex($self->{client}{id});
    $self->{idp} = { client => $self->_random(22), scopes => $SCOPES };    # and issuer, once the doors are open
    return $self;
}

sub _entropy {
    open my $fh, '<:raw', '/dev/urandom' or return "$$" . Time::HiRes::time();
    read $fh, my $bytes, 32;
    return $bytes;
}

sub _random ($self, $length) {
    my $out = '';
    while (length $out < $length) {
        $out .= sha256_base64($self->{seed} . $self->{count}++) =~ tr{+/}{ab}r;
    }
    return substr $out, 0, $length;
}

sub now { Time::HiRes::time() }

sub known_kind ($kind) { exists $KIND{$kind} }

sub add_api_key ($self) {
    my $key = 'ksk_' . $self->_random(48);
    $self->{access}{$key} = { login => { kind => 'api_key' }, expires => 9e15 };
    return $key;
}

# A new login with its first pair of tokens; a negative ttl gives an access token that has already expired.
# It has one profile, or those that are given: [{arn, profileName}].
sub login ($self, $kind, $ttl = $self->{ttl}, $profiles = undef) {
    my $data = $KIND{$kind};
    $profiles //= [{ arn => $data->{arn}, profileName => 'Simulated profile' }];
    my $login = { kind => $kind, n => ++$self->{logins}, provider => $data->{provider}, method => $data->{method},
                  profiles => $profiles, arn => @$profiles ? $profiles->[0]{arn} : undef };
    $login->{client} = $self->{client} if $kind =~ /^(?:oidc|builder)$/;
    $self->_pair($login, $ttl);
    return $login;
}

sub _pair ($self, $login, $ttl) {
    $login->{access} = 'aoaSIM' . $self->_random(120);
    $login->{expires} = now() + $ttl;
    $self->{access}{ $login->{access} } = { login => $login, expires => $login->{expires} };
    return if $login->{refresh};
    $login->{refresh} = 'aorSIM' . $self->_random(160);
    $self->{refresh}{ $login->{refresh} } = $login;
}

# New tokens for a login. Rotation makes the old refresh token useless.
sub renew ($self, $login, %opt) {
    my $ttl = $opt{ttl} // $self->{ttl};
    delete $self->{refresh}{ delete $login->{refresh} } if !$opt{keep_refresh};
    $self->_pair($login, $ttl);
    return { access => $login->{access}, refresh => $login->{refresh}, ttl => $ttl, arn => $login->{arn} };
}

# What a bearer token is: (login, undef) or (undef, 'missing'|'unknown'|'expired'|'revoked').
sub check ($self, $bearer) {
    return (undef, 'missing') if !defined $bearer || $bearer eq '';
    my $entry = $self->{access}{$bearer} or return (undef, 'unknown');
    return (undef, 'revoked') if $entry->{revoked};
    return (undef, 'expired') if $entry->{expires} <= now();
    return ($entry->{login}, undef);
}

sub region_of ($arn) { (split /:/, $arn)[3] }

# Whether the login may use this profile.
sub owns ($login, $arn) { !!grep { $_->{arn} eq $arn } @{ $login->{profiles} } }

# Whether a token of this login is good in a region: an API key's is everywhere.
sub at_home ($login, $region) {
    return 1 if $login->{kind} eq 'api_key';
    return !!grep { region_of($_->{arn}) eq $region } @{ $login->{profiles} };
}

sub by_refresh ($self, $token) { $self->{refresh}{$token} }

sub _oauth ($self) { grep { $_->{login}{kind} ne 'api_key' } values %{ $self->{access} } }

sub expire_all ($self)         { $_->{expires} = 0 for my @all = $self->_oauth; scalar @all }
sub revoke_access ($self)      { $_->{revoked} = 1 for my @all = $self->_oauth; scalar @all }
sub revoke_refresh ($self)     { my $n = keys %{ $self->{refresh} }; $self->{refresh} = {}; $n }
sub set_ttl ($self, $ttl)      { $self->{ttl} = $ttl }
sub reset_ttl ($self)          { $self->{ttl} = $self->{first_ttl} }

sub iso ($time) {
    return POSIX::strftime('%Y-%m-%dT%H:%M:%S', gmtime int $time) . sprintf '.%03dZ', ($time - int $time) * 1000;
}

# The login as the Kiro IDE keeps it in its file.
sub credential_record ($self, $login) {
    return {
        accessToken => $login->{access}, refreshToken => $login->{refresh}, expiresAt => iso($login->{expires}),
        authMethod => $login->{method}, provider => $login->{provider},
        $login->{kind} eq 'social'   ? (profileArn => $login->{arn})
      : $login->{kind} eq 'external' ? (tokenEndpoint => "$self->{idp}{issuer}/oauth2/v2.0/token", issuerUrl => "$self->{idp}{issuer}/v2.0",
                                        clientId => $self->{idp}{client}, scopes => $self->{idp}{scopes})
      :                                (region => 'us-east-1', clientIdHash => $login->{client}{hash}),
    };
}

sub registration_record ($self) {
    return { clientId => $self->{client}{id}, clientSecret => $self->{client}{secret}, expiresAt => iso(now() + 90 * 86400),
             scopes => ['codewhisperer:completions', 'codewhisperer:analysis', 'codewhisperer:conversations'] };
}

# Reasoning signatures are bound to the login and to the text they sign.
sub sign ($self, $login, $text, $signature) { $self->{signatures}{$signature} = [$login->{arn} // '', $text] }

sub signature_ok ($self, $login, $text, $signature) {
    my $known = $self->{signatures}{$signature} or return 0;
    return $known->[0] eq ($login->{arn} // '') && $known->[1] eq $text;
}

1;
