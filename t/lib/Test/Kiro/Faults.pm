package Test::Kiro::Faults;

# What the service may do wrong: t/fault_matrix.t says what becomes of it, t/capture_faults.t what is captured.

use strict;
use warnings;

use Exporter qw(import);
use Test::Kiro ();

our @EXPORT_OK = qw(table plan_of @before @after $WORDS);

our $WORDS = 'One two three four five six.';

# --- before the client has seen anything ---------------------------------------------------------------------------
# what the service does                            | the simulator's plan                                | kind              | tries | more
# Tries: with kiro_retries 2, if it does so for ever. Where that is more than one, a second answer that is good heals it, in
# two tries. More: "final", "after=N" (Retry-After), "~" (may hit a kept connection, which costs no try), "fast" (small timeouts).

our @before = table(<<'EOT');
429                                                | 429                                                 | rate_limited      | 3 |
429 that says when to come back                    | throttle                                            | rate_limited      | 1 | after=1
429 with Retry-After                               | {"status":429,"headers":{"Retry-After":"7"}}        | rate_limited      | 1 | after=7
429, suspicious activity                           | {"status":429,"reason":null,"message":"We saw suspicious activity and set temporary limits."} | rate_limited | 1 | final
429, credits too fast                              | 429 CREDIT_CONSUMPTION_RATE_EXCEEDED                | rate_limited      | 3 |
429, no capacity                                   | capacity                                            | overloaded        | 3 |
500, high load                                     | {"status":500,"message":"Encountered unexpectedly high load when processing the request, please try again."} | overloaded | 3 |
503, model unavailable                             | 503                                                 | overloaded        | 3 |
402                                                | quota                                               | quota             | 1 |
402, nothing said                                  | {"status":402,"raw_body":""}                        | quota             | 1 |
400, month used up                                 | 400 MONTHLY_REQUEST_COUNT                           | quota             | 1 |
429, month used up                                 | 429 MONTHLY_REQUEST_COUNT                           | quota             | 1 |
429, day used up                                   | 429 DAILY_REQUEST_COUNT                             | quota             | 1 |
429, month used up, compressed                     | {"status":429,"reason":"MONTHLY_REQUEST_COUNT","gzip":1} | quota        | 1 |
429, month used up, compressed and cut             | {"status":429,"raw_body":"{\"reason\":\"MONTHLY_REQUEST_COUNT\",\"message\":\"xx xx xx xx\"}","gzip":"cut"} | quota | 1 |
429, says that it is compressed                    | {"status":429,"gzip":"bad"}                         | rate_limited      | 3 |
402, overage limit                                 | 402 OVERAGE_REQUEST_LIMIT_EXCEEDED                  | quota             | 1 |
403                                                | denied                                              | access_denied     | 1 |
403, feature                                       | 403 FEATURE_NOT_SUPPORTED                           | access_denied     | 1 |
403, HTML of a firewall                            | {"status":403,"html":1}                             | access_denied     | 1 |
409, encryption key                                | 409 CUSTOMER_KMS_KEY_DISABLED                       | access_denied     | 1 |
403, suspended                                     | suspended                                           | suspended         | 1 |
423                                                | 423                                                 | suspended         | 1 |
423, nothing said                                  | {"status":423,"raw_body":""}                        | suspended         | 1 |
400, too long                                      | overflow                                            | context_overflow  | 1 |
400, too long, an old host's words                 | {"status":400,"reason":null,"message":"Input content length exceeds threshold."} | context_overflow | 1 |
400, prompt too long                               | 400 PROMPT_TOO_LONG                                 | context_overflow  | 1 |
400, unknown model                                 | 400 INVALID_MODEL_ID                                | model_not_found   | 1 |
400                                                | 400                                                 | upstream_refused  | 1 |
400, tools                                         | 400 TOOL_USE_RESULT_MISMATCH                        | upstream_refused  | 1 |
400, tool format, also seen in passing             | {"status":400,"reason":null,"message":"Invalid tool use format."} | upstream_refused | 2 |
400, image                                         | 400 IMAGE_SIZE_EXCEEDED                             | upstream_refused  | 1 |
400, no profile                                    | {"status":400,"reason":null,"message":"profileArn is required for this request."} | upstream_refused | 1 |
400, other profile                                 | {"status":400,"reason":null,"message":"Invalid profileArn."} | upstream_refused | 1 |
413, HTML                                          | {"status":413,"html":1}                             | too_large         | 1 |
404, no such operation                             | 404                                                 | upstream_error    | 1 | final
405                                                | {"status":405,"html":1}                             | upstream_error    | 1 | final
500                                                | 500                                                 | upstream_error    | 3 |
502, HTML                                          | html                                                | upstream_error    | 3 |
500, nothing said                                  | {"status":500,"raw_body":""}                        | upstream_error    | 3 |
500, a body without end                            | {"status":500,"raw_body":"0123456789","repeat":20000} | upstream_error    | 3 |
500, a body that is cut                            | {"status":500,"claim":100}                          | upstream_error    | 3 |
500, more than Content-Length says                 | {"status":500,"surplus":"HTTP/1.1 200 OK"}          | upstream_error    | 3 |
the type in the header only, with a URI            | {"status":400,"raw_body":"","headers":{"x-amzn-ErrorType":"ThrottlingException:http://internal.amazon.com/"}} | rate_limited | 3 |
503                                                | {"status":503,"reason":null}                        | unavailable       | 3 |
504                                                | {"status":504,"html":1}                             | upstream_timeout  | 3 |
408                                                | {"status":408,"raw_body":""}                        | upstream_timeout  | 3 |
a redirect                                         | redirect                                            | upstream_protocol | 1 | final
204                                                | 204                                                 | upstream_protocol | 1 | final
a page with 200                                    | page                                                | upstream_protocol | 1 | final
an empty page with 200                             | {"status":200,"raw_body":"","headers":{"content-type":"text/html"}} | upstream_protocol | 1 | final
a page with 200 and the type of a stream           | {"status":200,"raw_body":"<html>Hello</html>","headers":{"content-type":"application/vnd.amazon.eventstream"}} | upstream_protocol | 1 | final
JSON with 200                                      | {"status":200,"raw_body":"{\"ok\":true}"}           | upstream_protocol | 1 | final
an error's JSON with 200                           | {"status":200,"raw_body":"{\"__type\":\"a#ThrottlingException\"}"} | rate_limited | 3 |
exception, member error                            | {"exception":{"type":"error","before":1}}           | upstream_error    | 3 |
exception, member throttlingError                  | {"exception":{"type":"throttlingError","before":1}} | rate_limited      | 3 |
... that says when to come back                    | inband                                              | rate_limited      | 1 | after=1
exception, member validationError                  | {"exception":{"type":"validationError","before":1}} | upstream_refused  | 1 |
exception, member serviceUnavailableError          | {"exception":{"type":"serviceUnavailableError","before":1}} | unavailable | 3 |
exception, shape ThrottlingException               | {"exception":{"type":"throttlingError","shape":1,"before":1}} | rate_limited | 3 |
exception, shape ContentLengthExceededException    | {"exception":{"type":"ContentLengthExceededException","before":1}} | context_overflow | 1 |
exception, shape ModelStreamErrorException         | {"exception":{"type":"ModelStreamErrorException","before":1}} | upstream_error | 3 |
exception, unknown shape                           | {"exception":{"type":"SomethingNew","before":1}}    | upstream_error    | 3 |
exception, __type before the frame's name          | {"exception":{"type":"error","body_type":"ValidationException","before":1}} | upstream_refused | 1 |
exception, reason before both                      | {"exception":{"type":"throttlingError","body_type":"ThrottlingException","reason":"MONTHLY_REQUEST_COUNT","before":1}} | quota | 1 |
error frame first                                  | {"error_frame":{"code":"InternalFailure","before":1}} | upstream_error  | 3 |
error frame, code ThrottlingException              | {"error_frame":{"code":"ThrottlingException","before":1}} | rate_limited | 3 |
checksum of a message, first event                 | {"corrupt":{"event":1,"where":"message"}}           | upstream_protocol | 3 |
checksum of a prelude, first event                 | {"corrupt":{"event":1,"where":"prelude"}}           | upstream_protocol | 3 |
a message of 4 bytes                               | {"corrupt":{"event":1,"where":"length"}}            | upstream_protocol | 3 |
a message of 32 MB                                 | {"corrupt":{"event":1,"where":"longest"}}           | upstream_protocol | 3 |
headers longer than their message                  | {"corrupt":{"event":1,"where":"headers"}}           | upstream_protocol | 3 |
a header of no known type                          | {"corrupt":{"event":1,"where":"header"}}            | upstream_protocol | 3 |
a chunk without a size                             | {"cut":{"events":0,"mode":"chunk"}}                 | upstream_protocol | 3 |
nothing in the stream                              | empty                                               | upstream_empty    | 3 | final
nothing but the tail                               | blank                                               | upstream_empty    | 3 | final
closed behind the header                           | {"cut":{"bytes":0}}                                 | upstream_cut      | 3 |
closed inside of the first event                   | {"cut":{"bytes":20}}                                | upstream_cut      | 3 |
ended inside of the first event                    | {"cut":{"bytes":20,"mode":"end"}}                   | upstream_cut      | 3 |
closed inside of the header                        | headcut                                             | upstream_protocol | 3 |
closed without an answer                           | drop                                                | upstream_connect  | 3 | ~
reset without an answer                            | rst                                                 | upstream_connect  | 3 | ~
no answer                                          | hang                                                | upstream_timeout  | 3 | fast
silence behind the header                          | headhang                                            | upstream_timeout  | 3 | fast
a first token that is late                         | {"first_ms":20000}                                  | upstream_timeout  | 3 | fast
EOT

# --- behind the first words ----------------------------------------------------------------------------------------
# what the service does                            | the simulator's plan                                | streamed          | collected         | tries | more
# A collected answer is tried again as above. "ends": the stream ends like one that reached the limit of its length.
# "whole": nothing is missing, no failure.

our @after = table(<<'EOT');
closed                                             | {%WORDS%,"cut":{"events":3}}                        | upstream_cut      | upstream_cut      | 3 |
reset                                              | {%WORDS%,"cut":{"events":3,"mode":"rst"}}           | upstream_cut      | upstream_cut      | 3 | ~
closed inside of an event                          | {%WORDS%,"cut":{"bytes":500}}                       | upstream_cut      | upstream_cut      | 3 |
closed before Content-Length was reached           | {%WORDS%,"framing":"length","cut":{"events":3}}     | upstream_cut      | upstream_cut      | 3 |
a length that is too short                         | {%WORDS%,"framing":"length","claim":-500}           | ends upstream_cut | upstream_cut      | 3 |
ended inside of an event                           | {%WORDS%,"cut":{"bytes":500,"mode":"end"}}          | ends upstream_cut | upstream_cut      | 3 |
a body until the connection ends, without tail     | {%WORDS%,"framing":"close","no_tail":1}             | ends upstream_cut | upstream_cut      | 2 |
ended without tail                                 | {%WORDS%,"no_tail":1}                               | ends upstream_cut | upstream_cut      | 2 |
a chunk without a size                             | {%WORDS%,"cut":{"events":3,"mode":"chunk"}}         | upstream_protocol | upstream_protocol | 3 |
checksum of a message                              | {%WORDS%,"corrupt":{"event":3,"where":"message"}}   | upstream_protocol | upstream_protocol | 3 |
checksum of a prelude                              | {%WORDS%,"corrupt":{"event":3,"where":"prelude"}}   | upstream_protocol | upstream_protocol | 3 |
a message of 4 bytes                               | {%WORDS%,"corrupt":{"event":3,"where":"length"}}    | upstream_protocol | upstream_protocol | 3 |
exception, model unavailable                       | {%WORDS%,"exception":{"type":"error","reason":"MODEL_TEMPORARILY_UNAVAILABLE","after_events":3}} | overloaded        | overloaded        | 3 |
exception, member error                            | {%WORDS%,"exception":{"type":"error","after_events":3}} | upstream_error | upstream_error   | 3 |
exception, member throttlingError                  | {%WORDS%,"exception":{"type":"throttlingError","after_events":3}} | rate_limited | rate_limited | 3 |
exception, month used up                           | {%WORDS%,"exception":{"type":"throttlingError","reason":"MONTHLY_REQUEST_COUNT","after_events":3}} | quota | quota | 1 |
exception, member validationError                  | {%WORDS%,"exception":{"type":"validationError","after_events":3}} | upstream_refused | upstream_refused | 1 |
exception, shape ServiceUnavailableException       | {%WORDS%,"exception":{"type":"serviceUnavailableError","shape":1,"after_events":3}} | unavailable | unavailable | 3 |
exception, context full                            | {%WORDS%,"exception":{"type":"ContentLengthExceededException","after_events":3}} | ends context_overflow | ends context_overflow | 1 |
exception instead of the tail                      | {%WORDS%,"exception":{"type":"error"}}              | upstream_error    | upstream_error    | 3 |
error frame                                        | {%WORDS%,"error_frame":{"after_events":3}}          | upstream_error    | upstream_error    | 3 |
silence                                            | {%WORDS%,"cut":{"events":3,"mode":"hang"}}          | upstream_timeout  | upstream_timeout  | 3 | fast
silence behind the tail                            | {%WORDS%,"cut":{"events":9,"mode":"hang"}}          | whole             | whole             | 1 |
... that comes with the first words                | {"text":"One two three four five six.","gap_ms":0,"cut":{"events":9,"mode":"hang"}} | whole | whole | 1 |
closed without HTTP's end, behind the tail         | {%WORDS%,"framing":"length","claim":9}              | whole             | whole             | 1 |
garbage behind the tail                            | {%WORDS%,"garbage":40}                              | whole             | whole             | 1 |
two answers in one                                 | {%WORDS%,"twice":1}                                 | whole             | whole             | 1 |
bytes behind the end of the message                | {%WORDS%,"surplus":"HTTP/1.1 500 Oops"}             | whole             | whole             | 1 |
a header in small pieces, bytes one by one         | {%WORDS%,"head_piece":7,"head_ms":1,"chunk":1}      | whole             | whole             | 1 |
100 Continue and Early Hints in front              | {%WORDS%,"interim":[100,103]}                       | whole             | whole             | 1 |
EOT

# Columns; a line's trailing empty ones are there too.
sub table {
    return map { [ split /\s*\|\s*/, $_, -1 ] } grep { /\S/ && !/^#/ } split /\n/, $_[0];
}

# An element of scripted(); gap: between words, in ms.
sub plan_of {
    my ($plan, $gap) = @_;
    return { status => 0 + $1, reason => $2 } if $plan =~ /^(\d{3}) ([A-Z_]+)$/;
    return $plan unless $plan =~ /^\{/;
    $plan =~ s/%WORDS%/"text":"$WORDS","gap_ms":$gap/;
    return Test::Kiro::json($plan);
}

1;
