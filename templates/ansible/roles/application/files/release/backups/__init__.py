"""
Backs up one site, restores it, and finds out in time whether that would work.

It is the release command under another name, /usr/local/sbin/<site>-backup, and reads
/etc/<site>/backup.json and /etc/<site>/backup.env besides. The deploy account cannot start it.

A backup is one snapshot of restic's: the uploads, a dump of the database, and a file that says what is
in them. Snapshots are in a repository on this host, the first place, and copied to a second one.
Nothing in them is of a format of our own: restic and pg_restore read them without this program.
"""
