"""Plays kiro-cli for t/kiro_cli.t: its database, its transactions, its refresh.

    kiro_cli.py create DATABASE JOURNAL LOGIN      a social login of the simulator, as JSON
    kiro_cli.py show DATABASE                      what is there, as JSON
    kiro_cli.py rotate DATABASE PORT [SECONDS]     a refresh; that long from the answer to the commit
    kiro_cli.py login DATABASE LOGIN               somebody logs in again
    kiro_cli.py busy DATABASE FILE                 short write transactions until FILE is there
    kiro_cli.py hold DATABASE MODE SECONDS         one long transaction

Like the program it deletes its login when the auth host refuses it. It ends with 1 when it
cannot get a lock, which must never happen to the program that owns the database.
"""

import json
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.request

KEY = "kirocli:social:token"


def connect(path):
    db = sqlite3.connect(path, timeout=5, isolation_level=None)
    db.execute("PRAGMA foreign_keys = ON")
    return db


def record(login):
    return json.dumps({
        "access_token": login["accessToken"],
        "expires_at": login["expiresAt"],
        "theirs": {"kept": [1.50, None]},
        "refresh_token": login["refreshToken"],
        "provider": "google",
        "profile_arn": login["profileArn"],
    })


def stored(db):
    row = db.execute("SELECT value FROM auth_kv WHERE key = ?", (KEY,)).fetchone()
    return json.loads(row[0]) if row else None


def create(path, journal, login):
    db = connect(path)
    db.execute("PRAGMA journal_mode = " + journal)
    db.execute("CREATE TABLE auth_kv (key TEXT PRIMARY KEY, value TEXT)")
    db.execute("CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB)")
    db.execute("CREATE TABLE history (id INTEGER PRIMARY KEY, text TEXT)")
    db.execute("INSERT INTO state VALUES ('theirs', x'00ff')")
    db.execute("INSERT INTO auth_kv VALUES (?, ?)", (KEY, record(json.loads(login))))


def show(path):
    db = connect(path)
    print(json.dumps({
        "login": stored(db),
        "keys": [row[0] for row in db.execute("SELECT key FROM auth_kv ORDER BY key")],
        "theirs": db.execute("SELECT hex(value) FROM state WHERE key = 'theirs'").fetchone()[0],
        "history": db.execute("SELECT count(*) FROM history").fetchone()[0],
        "journal": db.execute("PRAGMA journal_mode").fetchone()[0],
        "check": db.execute("PRAGMA integrity_check").fetchone()[0],
    }))


def rotate(path, port, seconds="0"):
    db = connect(path)
    login = stored(db)
    if login is None:
        print("not logged in")
        return
    request = urllib.request.Request(
        "http://127.0.0.1:%s/refreshToken" % port, headers={"Content-Type": "application/json"},
        data=json.dumps({"refreshToken": login["refresh_token"]}).encode())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    db.execute("BEGIN IMMEDIATE")
    try:
        answer = json.load(opener.open(request, timeout=20))
    except urllib.error.HTTPError:
        db.execute("DELETE FROM auth_kv WHERE key = ?", (KEY,))
        db.execute("COMMIT")
        print("logged out")
        return
    print("asked", flush=True)
    time.sleep(float(seconds))
    login["access_token"] = answer["accessToken"]
    login["refresh_token"] = answer.get("refreshToken", login["refresh_token"])
    login["expires_at"] = time.strftime("%Y-%m-%dT%H:%M:%S.000000000Z", time.gmtime(time.time() + answer["expiresIn"]))
    db.execute("UPDATE auth_kv SET value = ? WHERE key = ?", (json.dumps(login), KEY))
    db.execute("COMMIT")
    print("rotated")


def log_in(path, login):
    db = connect(path)
    db.execute("INSERT OR REPLACE INTO auth_kv VALUES (?, ?)", (KEY, record(json.loads(login))))


def busy(path, end):
    db = connect(path)
    written = 0
    print("busy", flush=True)
    while not os.path.exists(end):
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO history (text) VALUES (?)", ("x" * 2000,))
        time.sleep(0.04)
        db.execute("COMMIT")
        written += 1
        time.sleep(0.02)
    print(written)


def hold(path, mode, seconds):
    db = connect(path)
    db.execute("BEGIN " + mode)
    db.execute("INSERT INTO history (text) VALUES ('held')")
    print("held", flush=True)
    time.sleep(float(seconds))
    db.execute("COMMIT")
    print("released")


COMMANDS = {"create": create, "show": show, "rotate": rotate, "login": log_in, "busy": busy, "hold": hold}

if __name__ == "__main__":
    os.umask(0o077)
    try:
        COMMANDS[sys.argv[1]](*sys.argv[2:])
    except sqlite3.Error as error:
        sys.exit("kiro_cli.py: %s: %s" % (sys.argv[1], error))
