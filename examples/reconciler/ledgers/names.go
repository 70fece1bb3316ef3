package ledgers

// counterparty is somebody who pays or is paid. Names are invented.
type counterparty struct {
	ledger   string // as the company writes it
	bank     string // as the bank prints it
	currency string
	fee      int64 // basis points that a payment provider keeps; 0 for others
}

var counterparties = []counterparty{
	{"Nordwind Logistik GmbH", "NORDWIND LOGISTIK HAMBURG", "EUR", 0},
	{"Aurelia Kaffeehaus AG", "AURELIA KAFFEEHAUS AG", "EUR", 0},
	{"Boulangerie du Canal SARL", "BOULANGERIE DU CANAL", "EUR", 0},
	{"Tessuti Ferrante Srl", "TESSUTI FERRANTE SRL", "EUR", 0},
	{"Van der Meulen Bloemen BV", "VAN DER MEULEN BLOEMEN", "EUR", 0},
	{"Kölner Werkzeugbau KG", "KÖLNER WERKZEUGBAU KG", "EUR", 0},
	{"Librería Tres Ríos SL", "LIBRERÍA TRES RÍOS SL", "EUR", 0},
	{"Lahti Timber Oy", "LAHTI TIMBER OY", "EUR", 0},
	{"Isarnetz Energie AG", "ISARNETZ ENERGIE", "EUR", 0},
	{"Quaystone Payments Europe", "QUAYSTONE PAYMENTS EUROPE", "EUR", 140},
	{"Zahlwerk Acquiring", "ZAHLWERK ACQUIRING", "EUR", 95},
	{"Harbour & Pike Ltd", "HARBOUR & PIKE LTD", "GBP", 0},
	{"Thistle Row Bakery Ltd", "THISTLE ROW BAKERY", "GBP", 0},
	{"Pemberton Office Supplies PLC", "PEMBERTON OFFICE SUPPLIES", "GBP", 0},
	{"Greyfriars Legal LLP", "GREYFRIARS LEGAL LLP", "GBP", 0},
	{"Cobble Lane Couriers Ltd", "COBBLE LANE COURIERS", "GBP", 0},
	{"Quaystone Payments UK", "QUAYSTONE PAYMENTS UK", "GBP", 175},
	{"Bluestem Analytics Inc", "BLUESTEM ANALYTICS INC", "USD", 0},
	{"Cedar Hollow Farms LLC", "CEDAR HOLLOW FARMS", "USD", 0},
	{"Marlow Freight Corp", "MARLOW FREIGHT CORP", "USD", 0},
	{"Pacific Dune Textiles Inc", "PACIFIC DUNE TEXTILES INC", "USD", 0},
	{"Sunderbrook Cloud Inc", "SUNDERBROOK CLOUD INC", "USD", 0},
	{"Quaystone Payments US", "QUAYSTONE PAYMENTS US", "USD", 290},
}
