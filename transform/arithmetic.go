package transform

import (
	"math/big"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// asNumeric takes what stands on the other side of an operator.
func asNumeric(v ref.Val) (numeric, bool) {
	switch v := v.(type) {
	case numeric:
		return v, true
	case types.Int:
		return numeric{digits: big.NewInt(int64(v))}, true
	case types.Double:
		n, err := parseNumeric(formatDouble(float64(v)))
		return n, err == nil
	}
	return numeric{}, false
}

// cmp orders as PostgreSQL does.
func (n numeric) cmp(m numeric) int {
	if n.special != 0 || m.special != 0 {
		return min(max(n.special-m.special, -1), 1)
	}
	scale := max(n.scale, m.scale)
	return n.at(scale).Cmp(m.at(scale))
}

// Compare implements traits.Comparer.
func (n numeric) Compare(other ref.Val) ref.Val {
	m, ok := asNumeric(other)
	if !ok {
		return types.MaybeNoSuchOverloadErr(other)
	}
	return types.Int(n.cmp(m))
}

// Equal implements ref.Val.
func (n numeric) Equal(other ref.Val) ref.Val {
	m, ok := asNumeric(other)
	return types.Bool(ok && n.cmp(m) == 0)
}

// Add implements traits.Adder.
func (n numeric) Add(other ref.Val) ref.Val { return n.combine(other, (*big.Int).Add) }

// Subtract implements traits.Subtractor.
func (n numeric) Subtract(other ref.Val) ref.Val { return n.combine(other, (*big.Int).Sub) }

func (n numeric) combine(other ref.Val, f func(z, x, y *big.Int) *big.Int) ref.Val {
	m, ok := asNumeric(other)
	switch {
	case !ok:
		return types.MaybeNoSuchOverloadErr(other)
	case n.special != 0 || m.special != 0:
		return types.NewErr("arithmetic with %s and %s is not built", n, m)
	}
	scale := max(n.scale, m.scale)
	return numeric{digits: f(new(big.Int), n.at(scale), m.at(scale)), scale: scale}
}

// Multiply implements traits.Multiplier.
func (n numeric) Multiply(other ref.Val) ref.Val {
	m, ok := asNumeric(other)
	switch {
	case !ok:
		return types.MaybeNoSuchOverloadErr(other)
	case n.special != 0 || m.special != 0:
		return types.NewErr("arithmetic with %s and %s is not built", n, m)
	}
	return numeric{digits: new(big.Int).Mul(n.digits, m.digits), scale: n.scale + m.scale}
}
