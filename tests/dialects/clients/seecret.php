<?php
// Seecret.it's documented PHP samples, unchanged except for URL, token and the placeholders in angle brackets.
// stdin: {"url", "token", "calls": [[sample, {member: value}], ...]}: "create_seecret" or "update_seecret" with members
// that replace the sample's (null leaves one out), or null and all members. stdout: status and JSON of each response.

function call(string $url, string $token, array $fields): array
{
    $ch = curl_init($url);
    curl_setopt($ch, CURLOPT_HTTPHEADER, [
        "Authorization: Bearer $token",
        'Content-Type: application/x-www-form-urlencoded'
    ]);
    curl_setopt($ch, CURLOPT_POST, true);
    curl_setopt($ch, CURLOPT_RETURNTRANSFER, true);
    curl_setopt($ch, CURLOPT_TIMEOUT, 20);
    curl_setopt($ch, CURLOPT_POSTFIELDS, http_build_query($fields));
    $response = json_decode(curl_exec($ch), true);
    return [curl_getinfo($ch, CURLINFO_RESPONSE_CODE), $response];
}

date_default_timezone_set('UTC');
$samples = [
    'create_seecret' => [
        'operation' => 'create_seecret',
        'lang' => 'en',
        'seecret' => 'SSH password: s3cr3t!',
        'expiration_date' => date('Y-m-d', strtotime('+7 days')),
        'number_view' => 1,
        'view_notification' => 1,
        'note' => 'Production server access',
        'recipient_email' => 'jane@example.com',
    ],
    'update_seecret' => [
        'operation' => 'update_seecret',
        'id' => 'aB3kZ9',
        'cle' => 'decryption_key',
        'lang' => 'en',
        'seecret' => 'New password: N3wPwd!',
    ],
];

$given = json_decode(stream_get_contents(STDIN), true);
$answers = [];
foreach ($given['calls'] as [$sample, $members]) {
    $fields = array_merge($sample === null ? [] : $samples[$sample], $members);
    $answers[] = call($given['url'], $given['token'], $fields);
}
echo json_encode($answers);
