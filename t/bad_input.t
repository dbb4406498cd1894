use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# A bad body gets a 4xx in the dialect's own shape that names the field, and
# never reaches the upstream.

my $t = Test::Kiro->new(location => 'client_max_body_size 1m; client_body_buffer_size 16k;')->start;

my $user = '{"role":"user","content":"hi"}';
my $o    = '"model":"claude-sonnet-4.5"';
my $a    = '"model":"claude-sonnet-4-5","max_tokens":64';

# name, OpenAI body, Anthropic body, what param or message must name
my @bad = (
    [ 'empty body',            '',                                        '' ],
    [ 'not JSON',              'hello',                                   'hello' ],
    [ 'cut JSON',              qq({$o,"messages":[$user),                 qq({$a,"messages":[$user) ],
    [ 'text behind the JSON',  qq({$o,"messages":[$user]} x),             qq({$a,"messages":[$user]} x) ],
    [ 'an array',              "[$user]",                                 "[$user]" ],
    [ 'a string',              '"hi"',                                    '"hi"' ],
    [ 'null',                  'null',                                    'null' ],
    [ 'no messages',           "{$o}",                                    "{$a}", qr/messages/ ],
    [ 'messages null',         qq({$o,"messages":null}),                  qq({$a,"messages":null}), qr/messages/ ],
    [ 'messages is an object', qq({$o,"messages":{}}),                    qq({$a,"messages":{}}), qr/messages/ ],
    [ 'messages is a string',  qq({$o,"messages":"hi"}),                  qq({$a,"messages":"hi"}), qr/messages/ ],
    [ 'messages is empty',     qq({$o,"messages":[]}),                    qq({$a,"messages":[]}), qr/messages/ ],
    [ 'message is a string',   qq({$o,"messages":["hi"]}),                qq({$a,"messages":["hi"]}), qr/messages/ ],
    [ 'message is null',       qq({$o,"messages":[null]}),                qq({$a,"messages":[null]}), qr/messages/ ],
    [ 'no role', qq({$o,"messages":[{"content":"hi"}]}), qq({$a,"messages":[{"content":"hi"}]}), qr/role/ ],
    [ 'role is a number', qq({$o,"messages":[{"role":1,"content":"hi"}]}),
        qq({$a,"messages":[{"role":1,"content":"hi"}]}), qr/role/ ],
    [ 'unknown role', qq({$o,"messages":[{"role":"wizard","content":"hi"}]}),
        qq({$a,"messages":[{"role":"wizard","content":"hi"}]}), qr/role/ ],
    [ 'no content', qq({$o,"messages":[{"role":"user"}]}), qq({$a,"messages":[{"role":"user"}]}), qr/content/ ],
    [ 'content is a number', qq({$o,"messages":[{"role":"user","content":1}]}),
        qq({$a,"messages":[{"role":"user","content":1}]}), qr/content/ ],
    [ 'content is an object', qq({$o,"messages":[{"role":"user","content":{}}]}),
        qq({$a,"messages":[{"role":"user","content":{}}]}), qr/content/ ],
    [ 'part without type', qq({$o,"messages":[{"role":"user","content":[{"text":"hi"}]}]}),
        qq({$a,"messages":[{"role":"user","content":[{"text":"hi"}]}]}), qr/type|content/ ],
    [ 'part of unknown type', qq({$o,"messages":[{"role":"user","content":[{"type":"smell","smell":"x"}]}]}),
        qq({$a,"messages":[{"role":"user","content":[{"type":"smell","smell":"x"}]}]}), qr/type|content/ ],
    [ 'text is a number', qq({$o,"messages":[{"role":"user","content":[{"type":"text","text":5}]}]}),
        qq({$a,"messages":[{"role":"user","content":[{"type":"text","text":5}]}]}), qr/text/ ],
    [ 'model is a number', qq({"model":5,"messages":[$user]}),
        qq({"model":5,"max_tokens":5,"messages":[$user]}), qr/model/ ],
    [ 'no model', qq({"messages":[$user]}), qq({"max_tokens":5,"messages":[$user]}), qr/model/ ],
    [ 'stream is a string', qq({$o,"stream":"yes","messages":[$user]}),
        qq({$a,"stream":"yes","messages":[$user]}), qr/stream/ ],
    [ 'tools is an object', qq({$o,"tools":{},"messages":[$user]}), qq({$a,"tools":{},"messages":[$user]}), qr/tools/ ],
    [ 'tool is a string', qq({$o,"tools":["x"],"messages":[$user]}), qq({$a,"tools":["x"],"messages":[$user]}), qr/tools/ ],
    [ 'tool without name', qq({$o,"tools":[{"type":"function","function":{}}],"messages":[$user]}),
        qq({$a,"tools":[{"input_schema":{"type":"object"}}],"messages":[$user]}), qr/tools|name/ ],
    [ 'image that is no image', qq({$o,"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:text/plain,hi"}}]}]}),
        qq({$a,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"text/plain","data":"aGk="}}]}]}),
        qr/image|content|media_type/ ],
    [ 'a raw NUL', qq({$o,"messages":[{"role":"user","content":"a\0b"}]}),
        qq({$a,"messages":[{"role":"user","content":"a\0b"}]}) ],
    [ 'a NUL outside a string', qq({$o,\0"messages":[$user]}), qq({$a,\0"messages":[$user]}) ],
    [ 'only NULs', "\0" x 100, "\0" x 100 ],
    [ 'invalid UTF-8', qq({$o,"messages":[{"role":"user","content":"a\xff\xfeb"}]}),
        qq({$a,"messages":[{"role":"user","content":"a\xff\xfeb"}]}) ],
    [ 'overlong UTF-8', qq({$o,"messages":[{"role":"user","content":"a\xc0\xafb"}]}),
        qq({$a,"messages":[{"role":"user","content":"a\xc0\xafb"}]}) ],
    [ 'UTF-8 surrogates', qq({$o,"messages":[{"role":"user","content":"a\xed\xa0\x80b"}]}),
        qq({$a,"messages":[{"role":"user","content":"a\xed\xa0\x80b"}]}) ],
    [ 'cut UTF-8', qq({$o,"messages":[{"role":"user","content":"a\xe2\x82"}]}),
        qq({$a,"messages":[{"role":"user","content":"a\xe2\x82"}]}) ],
    [ 'deep nesting', '[' x 100_000, '{"a":' x 50_000 ],
    [ 'deep nesting in content', qq({$o,"messages":[{"role":"user","content":) . '[' x 50_000 . ']' x 50_000 . '}]}',
        qq({$a,"messages":[{"role":"user","content":) . '[' x 50_000 . ']' x 50_000 . '}]}' ],
);

for my $case (@bad) {
    my ($name, $chat, $messages, $names) = @$case;
    for (
        [ openai    => '/v1/chat/completions', $chat ],
        [ anthropic => '/v1/messages',         $messages ],
        )
    {
        my ($api, $path, $body) = @$_;
        my $r = $t->post($path, $body, $api eq 'anthropic' ? (headers => [ 'anthropic-version' => '2023-06-01' ]) : ());
        my $e = $t->error_shape($r, $api, 400, "$name, $api");
        is($e->{type}, 'invalid_request_error', "$name, $api: type");
        like(join(' ', grep { defined } $e->{param}, $e->{message}), $names, "$name, $api: the field is named") if $names;
    }
}

is($t->stats->{generate}, 0, 'the upstream saw none of them');

# Over the limit, by its length and in chunks.
for (
    [ openai    => '/v1/chat/completions', $o ],
    [ anthropic => '/v1/messages',         $a ],
    )
{
    my ($api, $path, $head) = @$_;
    my $big = qq({$head,"messages":[{"role":"user","content":") . 'x' x 1_200_000 . '"}]}';
    my $r = $t->post($path, $big);
    my $e = $t->error_shape($r, $api, 413, "1.2 MB, $api");
    is($e->{type}, $api eq 'openai' ? 'invalid_request_error' : 'request_too_large', 'its type');
    my $chunked = join '', map { sprintf "%x\r\n%s\r\n", length, $_ } unpack '(a60000)*', $big;
    $r = $t->post($path, "${chunked}0\r\n\r\n", headers => [ 'Transfer-Encoding' => 'chunked' ]);
    $t->error_shape($r, $api, 413, "1.2 MB in chunks, $api");
}

# Unusual, but right: these are served.
my @fine = (
    [ 'a lone surrogate escape', qq({$o,"messages":[{"role":"user","content":"a \\ud83d b"}]}),
        qq({$a,"messages":[{"role":"user","content":"a \\ud83d b"}]}) ],
    [ 'a lone low surrogate escape', qq({$o,"messages":[{"role":"user","content":"a \\ude00 b"}]}),
        qq({$a,"messages":[{"role":"user","content":"a \\ude00 b"}]}) ],
    [ 'an escaped NUL', qq({$o,"messages":[{"role":"user","content":"a \\u0000 b"}]}),
        qq({$a,"messages":[{"role":"user","content":"a \\u0000 b"}]}) ],
    [ 'a surrogate pair', qq({$o,"messages":[{"role":"user","content":"\\ud83d\\ude00"}]}),
        qq({$a,"messages":[{"role":"user","content":"\\ud83d\\ude00"}]}) ],
    [ 'unknown members', qq({$o,"x":[1,{"y":null}],"messages":[{"role":"user","content":"hi","z":1}]}),
        qq({$a,"x":[1,{"y":null}],"messages":[{"role":"user","content":"hi","z":1}]}) ],
    [ 'explicit nulls', qq({$o,"tools":null,"stream":null,"user":null,"stop":null,"messages":[$user]}),
        qq({$a,"tools":null,"stream":null,"system":null,"messages":[$user]}) ],
    [ 'white space', qq( {\n $o ,\t"messages" : [ $user ]\r\n} \n), qq( {\n $a ,\t"messages" : [ $user ]\r\n} \n) ],
);
for my $case (@fine) {
    my ($name, $chat, $messages) = @$case;
    $t->openai_object($t->post('/v1/chat/completions', $chat), "$name, openai");
    $t->anthropic_object($t->post('/v1/messages', $messages), "$name, anthropic");
}

$t->done;
