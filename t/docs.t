use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# The directives and variables of the module and those of docs/directives.md are the same: names, contexts,
# numbers of arguments, defaults.

my $root = Test::Kiro::root();
my $docs = Test::Kiro::slurp("$root/docs/directives.md");
my %source = map { (s{.*/}{}r => Test::Kiro::slurp($_)) } glob "$root/src/nginx/*.[ch]";
my $code = join "\n", map { $source{$_} } sort keys %source;

sub same {
    my ($name, $code, $text) = @_;
    my %code = map { $_ => 1 } @$code;
    my %text = map { $_ => 1 } @$text;
    cmp_ok(scalar keys %code, '>', 5, "$name: found in the source");
    return is_deeply([ sort keys %text ], [ sort keys %code ], "$name: documented are those that exist");
}

# --- what the source says --------------------------------------------------

# Directive => {contexts, least and most arguments, handler, field, words}.
my %CONTEXT = (MAIN => 'http', SRV => 'server', LOC => 'location', SIF => 'if in server', LIF => 'if in location');
my @ORDER = qw(MAIN SRV LOC SIF LIF);
my %exists;
while ($code =~ /\{\s*ngx_string\("(kiro_\w+)"\),\s*((?:NGX_\w+\s*\|?\s*)+),\s*(\w+),\s*\w+,\s*(?:offsetof\(\w+,\s*(\w+)\)|\w+),\s*&?(\w+)\s*\}/g) {
    my ($name, $type, $handler, $field, $post) = ($1, $2, $3, $4, $5);
    my @args = $type =~ /NGX_CONF_NOARGS/ ? (0, 0) : $type =~ /NGX_CONF_ANY/ ? (0, 9) : $type =~ /NGX_CONF_FLAG/ ? (1, 1)
        : $type =~ /NGX_CONF_(\d)MORE/  ? ($1, 9)
        : $type =~ /NGX_CONF_TAKE(\d+)/ ? (sort split //, $1)[ 0, -1 ] : ();
    $exists{$name} = {
        contexts => [ map { $type =~ /NGX_HTTP_${_}_CONF/ ? $CONTEXT{$_} : () } @ORDER ],
        args => "@args", block => $type =~ /NGX_CONF_BLOCK/ ? 1 : 0, flag => $type =~ /NGX_CONF_FLAG/ ? 1 : 0,
        field => $field, words => $post,
    };
}

# Field => its default, as the functions that make and merge configurations set it.
my %default;
while ($code =~ /ngx_conf_(?:merge|init)_(\w*?)_?value\(\s*\w+->(\w+),\s*(?:\w+->\w+,\s*)?([^;]+?)\)\s*;/g) {
    $default{$2} = { type => $1, value => $3 };
}

# Table of words => {value => word}.
my %words;
while ($code =~ /ngx_conf_enum_t\s+(\w+)\[\] = \{(.*?)\n\};/sg) {
    my ($table, $rows) = ($1, $2);
    while ($rows =~ /ngx_string\("(\w+)"\), ([^}]+?) \}/g) { $words{$table}{$2} = $1 }
}

# A value as a documentation has it, as a number or word of the source.
my %UNIT = (ms => 1, s => 1000, m => 60_000, h => 3_600_000, d => 86_400_000);

sub value {
    my ($type, $text) = @_;
    return { on => 1, off => 0 }->{$text} // $text if $type eq '';
    return $1 * $UNIT{$2} if $type eq 'msec' && $text =~ /^(\d+)(ms|[smhd])$/;
    return $1 * { k => 1024, m => 1024 ** 2 }->{$2} if $type eq 'size' && $text =~ /^(\d+)([km])$/;
    return $text;
}

# What the documentation has as default is the default, where the source has it in one of nginx's macros.
my $compared = 0;

sub same_default {
    my ($name, $field, $words, $text) = @_;
    my $d = $default{ $field // '' } or return;
    my ($type, $want) = @$d{qw(type value)};
    return if $type =~ /^(?:ptr|str)$/;
    $want = eval $want if $want =~ /^[\d\s*]+$/;
    $want = $words{$words}{$want} // $want if $words{ $words // '' };
    $compared++;
    return is(value($type, $text), $want, "$name: its default");
}

# --- directives ------------------------------------------------------------

# Least and most arguments of a syntax.
sub arguments {
    my ($syntax) = @_;
    my @words = split ' ', $syntax =~ s/\s*\|\s*/|/gr;
    my ($least, $most) = (0, 0);
    for (@words) {
        if   ($_ eq '...') { $most = 9 }
        elsif (!/^\[/)     { $least++; $most++ }
        else               { $most++ }
    }
    return ($least, $most);
}

my %entry;
while ($docs =~ /^    Syntax:  (kiro_\w+)([^\n]*)\n((?:    \w[^\n]*\n)*)/mg) {
    my ($name, $syntax, $rest) = ($1, $2, $3);
    ok(!$entry{$name}, "$name: one entry");
    $entry{$name} = { syntax => $syntax, map { /^    (\w+):\s+(.*?)\s*$/ ? (lc $1 => $2) : () } split /\n/, $rest };
}
same('directives', [ keys %exists ], [ keys %entry ]);

for my $name (sort keys %exists) {
    my ($is, $says) = ($exists{$name}, $entry{$name} // next);
    is($says->{context}, join(', ', @{ $is->{contexts} }), "$name: context");
    like($says->{since} // '', qr/^\d+\.\d+\.\d+$/, "$name: since when");
    my $default = $says->{default} // '';
    like($default, qr/^(?:none\b|\Q$name\E [^;]+;)/, "$name: a default or none");
    my $syntax = $says->{syntax};
    like($syntax, $is->{block} ? qr/ \{ \.\.\. \}$/ : qr/;$/, "$name: how it ends");
    $syntax =~ s/ \{ \.\.\. \}$|;$//;
    my ($least, $most) = arguments($syntax);
    $most = 9 if $is->{args} =~ / 9$/ && $most > $least;
    is("$least $most", $is->{args}, "$name: arguments");
    is($syntax eq ' on | off' ? 1 : 0, $is->{flag}, "$name: on or off") if $is->{flag} || $syntax eq ' on | off';
    if (my $table = $words{ $is->{words} }) {
        is_deeply([ sort split / \| /, $syntax =~ s/^ //r ], [ sort values %$table ], "$name: its words");
    }
    same_default($name, $is->{field}, $is->{words}, $1) if $default =~ /^\w+ ([^;]+);/;
}

# The section's title names the directives that it has.
for my $section ($docs =~ /^### (.*?)(?=^##|\z)/msg) {
    my ($title) = $section =~ /\A([^\n]*)/;
    next unless $section =~ /^    Syntax:/m;
    is(join(', ', $section =~ /^    Syntax:  (\w+)/mg), $title, "$title: its entries");
}

my ($contents) = $docs =~ /\A(.*?)^## /ms;
is_deeply([ grep { index($contents, "[`$_`](#") < 0 } sort keys %entry ], [], 'each is in the table of contents');

# --- inside the block ------------------------------------------------------

my %inside;
while ($source{'ngx_http_kiro_account.c'} =~ /\{ ngx_string\("(\w+)"\), (\d),\s*(\w+), 0,\s*(?:offsetof\(\w+, (\w+)\)|\w+),\s*&?(\w+) \}/g) {
    $inside{$1} = { args => $2, flag => $3 eq 'ngx_conf_set_flag_slot' ? 1 : 0, field => $4, words => $5 };
}
my ($block) = $docs =~ /^(Inside the block.*?\n\n\| inside the block.*?)\n\n/ms;
like($block, qr/since \d+\.\d+\.\d+ where/, 'account: since when');
my %row;
while ($block =~ /^\| `(\w+) ([^`]+)` \| (.*?) \| (.*) \|$/mg) {
    my ($name, $syntax, $default, $text) = ($1, $2, $3, $4);
    $row{$name} = { syntax => $syntax =~ s/\\\|/|/gr, default => $default, text => $text };
}
same('account', [ keys %inside ], [ keys %row ]);
is(scalar(() = $block =~ /^\| `/mg), scalar keys %row, 'account: every row can be read');
for my $name (sort keys %inside) {
    my ($is, $says) = ($inside{$name}, $row{$name} // next);
    ok(length $says->{default} && length $says->{text}, "$name: a default and what it means");
    my ($least) = arguments($says->{syntax});
    is($least + 1, $is->{args}, "$name: arguments") if $is->{args};
    is($says->{syntax} eq 'on|off' ? 1 : 0, $is->{flag}, "$name: on or off");
    if (my $table = $words{ $is->{words} }) {
        is_deeply([ sort split /\|/, $says->{syntax} ], [ sort values %$table ], "$name: its words");
    }
    same_default($name, $is->{field}, $is->{words}, $says->{default} =~ /^`([^`]+)`$/ ? $1 : $says->{default});
}
cmp_ok($compared, '>', 25, 'defaults were compared');

# --- nginx takes the defaults as they are written --------------------------

my $t = Test::Kiro->new(http => join "\n    ", map { $entry{$_}{default} =~ /^(\w+ [^;]+;)/ ? $1 : () } sort keys %entry);
my ($status, $out) = $t->start_sim->test_config;
is($status, 0, 'nginx takes the defaults') or diag $out;
$t->stop;

# --- variables -------------------------------------------------------------

my $variables = Test::Kiro::slurp("$root/docs/variables.md");
my @rows = $variables =~ /^\| (`\$\w+`.*) \|$/mg;
same('variables', [ $source{'ngx_http_kiro_variables.c'} =~ /"(kiro_\w+)"/g ], [ map { /^`\$(\w+)`/ } @rows ]);
for (@rows) {
    my ($name, $from, $value) = split / \| /, $_, 3;
    ok($from =~ /^(?:request|headers|end|at any time)$/ && length $value, "$name: from when, and what");
}
like($variables, qr/since \d+\.\d+\.\d+/, 'variables: since when');
my @used = map { Test::Kiro::slurp($_) =~ /\$(kiro_\w+)/g } glob("$root/docs/*.md"), glob("$root/conf/examples/*"), "$root/README.md";
my %row_of = map { /^`\$(\w+)`/ ? ($1 => 1) : () } @rows;
my %own = map { $_ => 1 } map { Test::Kiro::slurp($_) =~ /^\s*(?:map\s+\S+|set)\s+\$(kiro_\w+)/mg } glob("$root/docs/*.md"), glob "$root/conf/examples/*";
is_deeply([ grep { !$row_of{$_} && !$own{$_} } @used ], [], 'no page or example uses another variable');

# --- links -----------------------------------------------------------------

# Headings as anchors, the way that forges make them.
sub anchors {
    my ($file) = @_;
    my $text = Test::Kiro::slurp($file) =~ s/^```.*?^```//msgr;
    return map { s/[^\w\- ]//gr =~ tr/ /-/r } map { lc } $text =~ /^#+ (.*?)\s*$/mg;
}

my @pages = (glob("$root/*.md"), glob "$root/docs/*.md");
my ($links, @broken) = 0;
for my $page (@pages) {
    my ($dir, $name) = $page =~ m{(.*)/(.*)};
    for my $link (Test::Kiro::slurp($page) =~ /\]\(([^)\s]+)\)/g) {
        next if $link =~ /^\w+:/;
        my ($file, $anchor) = $link =~ /^([^#]*)#?(.*)$/;
        my $to = length $file ? "$dir/$file" : $page;
        $links++;
        push @broken, "$name: $link" if !-e $to || length $anchor && !grep { $_ eq $anchor } anchors($to);
    }
}
cmp_ok($links, '>', 40, 'links were found');
is_deeply(\@broken, [], 'every link leads somewhere');

for my $name (qw(operations clients)) {
    my $page = Test::Kiro::slurp("$root/docs/$name.md");
    my ($contents) = $page =~ /\A(.*?)^## /ms;
    my @missing = grep { my $a = lc; $a =~ s/[^\w\- ]//g; $a =~ tr/ /-/; index($contents, "](#$a)") < 0 } $page =~ /^## (.*)$/mg;
    is_deeply(\@missing, [], "$name.md: each section is in its table of contents");
}

done_testing;
