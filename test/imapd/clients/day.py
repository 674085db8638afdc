"""A day's work by imaplib, half of it over COMPRESS=DEFLATE by Python's own zlib. Arguments: port, user, password."""
import imaplib
import sys
import zlib

port, user, password = sys.argv[1:]
server = imaplib.IMAP4('127.0.0.1', int(port))
server.login(user, password)
server.create('Filed')
print('mailboxes', len(server.list()[1]))
server.select('INBOX')
status, found = server.search(None, 'OR', 'SUBJECT', 'one', 'SUBJECT', 'two')
print('found', len(found[0].split()))


def text_of_first():
    _, data = server.fetch('1', '(BODY[TEXT])')
    return data[0][1].decode().strip()


print(text_of_first())
server.store('1', '+FLAGS', '\\Flagged')

imaplib.Commands['COMPRESS'] = ('AUTH', 'SELECTED')
status, _ = server._simple_command('COMPRESS', 'DEFLATE')
assert status == 'OK'
deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
inflate = zlib.decompressobj(-15)
clear = b''


def fill():
    global clear
    octets = server.sock.recv(65536)
    assert octets, 'closed by the server'
    clear += inflate.decompress(octets)


def read(size):
    global clear
    while len(clear) < size:
        fill()
    taken, clear = clear[:size], clear[size:]
    return taken


def readline():
    while b'\n' not in clear:
        fill()
    return read(clear.index(b'\n') + 1)


def send(data):
    server.sock.sendall(deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH))


server.read, server.readline, server.send = read, readline, send
server.noop()
print('compressed')
print(text_of_first())
server.store('2', '+FLAGS', '\\Seen')
server.copy('2', 'Filed')
server.store('2', '+FLAGS', '\\Deleted')
server.expunge()
large = b'Subject: large\r\n\r\n' + b'0123456789' * 30_000
server.append('Filed', None, None, large)
server.select('Filed', readonly=True)
_, data = server.fetch('2', '(BODY.PEEK[TEXT])')
print('octets', len(data[0][1]))
server.logout()
