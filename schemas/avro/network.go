package avro

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/sluicecdc/sluice/internal/change"
)

// inetFromBinary writes the text of an inet or cidr. The form is family, bits of the netmask,
// whether it is a cidr, length of the address, address (network_send).
func inetFromBinary(_ *codec, dst, src []byte) ([]byte, error) {
	if len(src) < 4 || len(src) != 4+int(src[3]) {
		return dst, errForm
	}
	addr, ok := netip.AddrFromSlice(src[4:])
	if !ok || int(src[1]) > addr.BitLen() {
		return dst, errForm
	}
	mark := len(dst)
	dst = appendAddr(append(dst, 0), addr)
	if isCIDR := src[2] != 0; isCIDR || int(src[1]) < addr.BitLen() {
		dst = strconv.AppendUint(append(dst, '/'), uint64(src[1]), 10)
	}
	return measure(dst, mark), nil
}

// appendAddr differs from Go's own text in one form: ::1.2.3.4, an address that is zero up to its
// last 32 bits and not below 2^16 in them (inet_net_ntop).
func appendAddr(dst []byte, addr netip.Addr) []byte {
	if addr.Is4() || addr.Is4In6() {
		return addr.AppendTo(dst)
	}
	b := addr.As16()
	if binary.BigEndian.Uint64(b[:]) == 0 && binary.BigEndian.Uint32(b[8:]) == 0 && binary.BigEndian.Uint16(b[12:]) != 0 {
		return netip.AddrFrom4([4]byte(b[12:])).AppendTo(append(dst, "::"...))
	}
	return addr.AppendTo(dst)
}

// macaddrFromBinary takes macaddr and macaddr8.
func macaddrFromBinary(_ *codec, dst, src []byte) ([]byte, error) {
	if len(src) != 6 && len(src) != 8 {
		return dst, errForm
	}
	dst = append(dst, byte((3*len(src)-1)<<1))
	for i, b := range src {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = appendHex(dst, b)
	}
	return dst, nil
}

func lsnFromBinary(_ *codec, dst, src []byte) ([]byte, error) {
	if len(src) != 8 {
		return dst, errForm
	}
	mark := len(dst)
	dst = appendLSN(append(dst, 0), change.LSN(binary.BigEndian.Uint64(src)))
	return measure(dst, mark), nil
}

func appendLSN(dst []byte, l change.LSN) []byte { return append(dst, l.String()...) }
