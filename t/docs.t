use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# The directives and variables of the module and those of docs/directives.md are the same.

my $root = Test::Kiro::root();
my $docs = Test::Kiro::slurp("$root/docs/directives.md");
my $module = Test::Kiro::slurp("$root/src/nginx/ngx_http_kiro_module.c");
my $account = Test::Kiro::slurp("$root/src/nginx/ngx_http_kiro_account.c");
my $variables = Test::Kiro::slurp("$root/src/nginx/ngx_http_kiro_variables.c");

sub same {
    my ($name, $code, $text) = @_;
    my %code = map { $_ => 1 } @$code;
    my %text = map { $_ => 1 } @$text;
    cmp_ok(scalar keys %code, '>', 5, "$name: found in the source");
    is_deeply([ sort keys %text ], [ sort keys %code ], "$name: documented are those that exist");
}

same('directives', [ $module =~ /\{ ngx_string\("(kiro_\w+)"\)/g ], [ $docs =~ /Syntax:\s+(kiro_\w+)/g ]);

my ($block) = $docs =~ /\| inside the block(.*?)\n\n/s;
same('account', [ $account =~ /\{ ngx_string\("(\w+)"\), \d,/g ], [ $block =~ /^\| `(\w+)/mg ]);

my ($table) = $docs =~ /\| variable \| value \|(.*?)\n\n/s;
same('variables', [ $variables =~ /"(kiro_\w+)"/g ], [ $table =~ /`\$(kiro_\w+)`/g ]);

done_testing;
