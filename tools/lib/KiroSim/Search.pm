package KiroSim::Search;

# InvokeMCP: JSON-RPC 2.0 with a profileArn beside it. One tool, web_search.

use v5.36;
use KiroSim::Json qw(encode_json is_string is_number);
use KiroSim::Plan ();
use KiroSim::Validate ();

my %METHOD = map { $_ => 1 } qw(initialize notifications/initialized tools/list tools/call);

# What the service refuses before it looks at the call itself. $r: {body, login}
my @RULES = (
    [profile => \&KiroSim::Validate::profile],
    [jsonrpc => sub ($r) { ($r->{body}{jsonrpc} // '') ne '2.0' ? 'jsonrpc: must be "2.0"' : undef }],
    [id => sub ($r) {
        my $id = $r->{body}{id};
        is_string($id) && $id ne '' || is_number($id) ? undef : 'id: must be a string or a number';
    }],
    [method => sub ($r) { is_string($r->{body}{method}) && $METHOD{ $r->{body}{method} } ? undef : 'method: unknown' }],
    [params => sub ($r) {
        my $params = $r->{body}{params};
        defined $params && ref $params ne 'HASH' ? 'params: must be an object' : undef;
    }],
);

# undef, or a failure as Service refuses with.
sub check ($r) {
    for my $rule (@RULES) {
        my $failure = $rule->[1]->($r) // next;
        $failure = { status => 400, type => 'ValidationException', reason => 'REQUEST_BODY_INVALID',
                     message => 'Improperly formed request.', detail => $failure } if !ref $failure;
        return { %$failure, rule => $rule->[0] };
    }
    return undef;
}

# What is looked for, or undef when the call is none that looks for something.
sub query ($body) {
    my $params = $body->{params} // {};
    return undef if $body->{method} ne 'tools/call' || ($params->{name} // '') ne 'web_search';
    my $query = ref $params->{arguments} eq 'HASH' ? $params->{arguments}{query} : undef;
    return is_string($query) && $query =~ /\S/ ? $query : undef;
}

sub _rpc ($body, %more) { encode_json({ id => $body->{id}, jsonrpc => '2.0', %more }) }

sub _results ($query) {
    return [map { { title => "Result $_ for $query", url => "https://example.com/$_", snippet => "Snippet $_ about $query.",
        publishedDate => 1767225600000 + 86400000 * ($_ - 1) } } 1, 2];
}

sub answer ($body, $plan) {
    my $query = query($body);
    if ($body->{method} eq 'tools/list') {
        return _rpc($body, result => { tools => [{ name => 'web_search', inputSchema => { type => 'object',
            properties => { query => { type => 'string' } }, required => ['query'] } }] });
    }
    return _rpc($body, result => {}) if $body->{method} ne 'tools/call';
    return _rpc($body, error => { code => -32602, message => 'Invalid params' }) if !defined $query;
    return _rpc($body, error => $plan->{rpc_error}) if $plan->{rpc_error};
    my $text = $plan->{result_text};
    if (!defined $text) {
        my $asked = KiroSim::Plan::strip_prompt($query);
        my $results = $plan->{results} // _results($asked);
        my $n = 0;
        my @shown = map { { id => 'r' . ++$n, domain => ($_->{url} // '') =~ m{//([^/]+)} ? $1 : '', maxVerbatimWordLimit => 30,
            publicDomain => !!0, %$_ } } @$results;
        $text = encode_json({ results => \@shown, totalResults => scalar @shown, query => $asked, error => undef });
    }
    return _rpc($body, result => { content => [{ type => 'text', text => $text }], isError => $plan->{is_error} ? !!1 : !!0 });
}

1;
