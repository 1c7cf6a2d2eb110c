-- Rows of a newer release, encrypted with the master key of the bytes 0 to 31.

update users
set totp_enabled = true,
    totp_secret = 'gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD1yPMhl7c6y0z03lOq-4-k43Qfn1DO3U4FQgPFTih1PcIBxxwbTUeqaqmjq7qKZIc8gU-9aPoJ5meDRyNJIyvG1J73aygF3u-Ll9rvLJAtA_'
where email = 'localhost-only@localhost';

update oauth_tokens
set access_token = 'gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD4vthZh8XFGETYjM0kUSvlMyGZv1hWRcHHOOyhhHiydldf7lW8_Y2eVAfC_lWLKpNg==',
    access_secret = 'gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD4vthZh8XFGETYjM0kUSvlMyGZv1hWRcHHOOyhhHiydldf7lW8_Y2eVAfC_lWLKpNg=='
where provider = 'discogs';
